// Stands before the C library's assert.h, whose assert would end Python.
#undef assert
#define assert(...) ((__VA_ARGS__) ? (void)0 : emulated::fail("assert(" #__VA_ARGS__ ") does not hold", __LINE__))
