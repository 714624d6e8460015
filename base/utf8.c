/* See envsync/utf8.h. Input is untrusted bytes; nothing past len is read. */
#include "envsync/utf8.h"

size_t es_utf8_decode(const char *p, size_t len, uint32_t *ret)
{
    const unsigned char *s = (const unsigned char *)p;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n;
    uint32_t c;

    if (s[0] < 0x80)
        n = 1, c = s[0];
    else if (s[0] >= 0xc2 && s[0] < 0xe0)
        n = 2, c = s[0] & 0x1f;
    else if (s[0] >= 0xe0 && s[0] < 0xf0)
        n = 3, c = s[0] & 0x0f;
    else if (s[0] >= 0xf0 && s[0] < 0xf5)
        n = 4, c = s[0] & 0x07;
    else
        return 0;
    if (n > len)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *ret = c;
    return n;
}

size_t es_utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c >= 0xd800 && c < 0xe000)
        return 0;
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    if (c > 0x10ffff)
        return 0;
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

size_t es_utf8_span(const char *p, size_t len)
{
    size_t at = 0;

    while (at < len) {
        uint32_t c;
        size_t n = es_utf8_decode(p + at, len - at, &c);

        if (n == 0)
            break;
        at += n;
    }
    return at;
}

bool es_utf8_valid(const char *p, size_t len)
{
    return es_utf8_span(p, len) == len;
}

bool es_utf8_nonchar(uint32_t c)
{
    return (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
}

bool es_utf8_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0x061c ||
           c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}
