// The kernel's and the C library's names come to the other rooms from here.
@_exported public import CLinux
@_exported public import Glibc
