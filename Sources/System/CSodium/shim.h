#pragma once
#include <sodium/crypto_secretbox.h>
