/* The module is its header; SwiftPM wants one source file. */
#include "clinux.h"
