/* The writing half of http.h: status lines, field lines, and the words for what went wrong. */
#include "wire/http.h"

unsigned http_error_status(int error)
{
    switch (error) {
    case HTTP_ERR_HEADERS:
        return 431;
    case HTTP_ERR_VERSION:
        return 505;
    case HTTP_ERR_ENCODING:
        return 501;
    default:
        return 400;
    }
}

const char *http_error_text(int error)
{
    switch (error) {
    case HTTP_ERR_LINE:
        return "The first line is malformed.";
    case HTTP_ERR_NEWLINE:
        return "A line does not end in CRLF, or has a NUL.";
    case HTTP_ERR_HEADER:
        return "A header field is malformed.";
    case HTTP_ERR_HEADERS:
        return "Too many header fields.";
    case HTTP_ERR_VERSION:
        return "Only HTTP/1.1 is spoken here.";
    case HTTP_ERR_LENGTH:
        return "Content-Length is malformed, given twice, or given with Transfer-Encoding.";
    case HTTP_ERR_ENCODING:
        return "Transfer-Encoding is not supported; use Content-Length.";
    case HTTP_ERR_HOST:
        return "Host is missing, given twice or malformed.";
    default:
        return "Malformed request.";
    }
}

static const struct {
    unsigned status;
    const char *text;
} phrases[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {511, "Network Authentication Required"},
};

const char *http_status_text(unsigned status)
{
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
        if (phrases[i].status == status)
            return phrases[i].text;
    return "Unknown";
}

bool http_write_status(struct buf *out, unsigned status)
{
    return buf_printf(out, "HTTP/1.1 %u %s\r\n", status, http_status_text(status));
}

bool http_write_header(struct buf *out, const char *name, struct slice value)
{
    struct slice field = slice_of(name);
    if (!http_is_token(field) || !http_is_field_value(value))
        return false;
    /* all room at once, so that the appends below cannot fail half way */
    size_t around = field.len + 4; /* ": " and CRLF */
    if (value.len > SIZE_MAX - around || !buf_reserve(out, around + value.len))
        return false;
    buf_append(out, field.ptr, field.len);
    buf_append(out, ": ", 2);
    buf_append(out, value.ptr, value.len);
    buf_append(out, "\r\n", 2);
    return true;
}
