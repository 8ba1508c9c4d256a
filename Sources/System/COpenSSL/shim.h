#pragma once
/* The low-level hash calls: deprecated in OpenSSL 3, but they alone link
 * statically without the provider machinery. */
#define OPENSSL_SUPPRESS_DEPRECATED 1
#include <openssl/sha.h>
