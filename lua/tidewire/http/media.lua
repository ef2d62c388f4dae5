--- Media types of files by the ending of their name.
local media = {}

local unknown = "application/octet-stream"

local types = {
    avif = "image/avif", bmp = "image/bmp", css = "text/css", csv = "text/csv", flac = "audio/flac",
    gif = "image/gif", gz = "application/gzip", htm = "text/html", html = "text/html",
    ico = "image/x-icon", jpeg = "image/jpeg", jpg = "image/jpeg", js = "text/javascript",
    json = "application/json", jsonl = "application/jsonl", m4a = "audio/mp4", map = "application/json",
    md = "text/markdown", mjs = "text/javascript", mp3 = "audio/mpeg", mp4 = "video/mp4",
    oga = "audio/ogg", ogg = "audio/ogg", ogv = "video/ogg", opus = "audio/ogg", otf = "font/otf",
    pdf = "application/pdf", png = "image/png", svg = "image/svg+xml", tar = "application/x-tar",
    ttf = "font/ttf", txt = "text/plain", wasm = "application/wasm", wav = "audio/wav",
    weba = "audio/webm", webm = "video/webm", webmanifest = "application/manifest+json",
    webp = "image/webp", woff = "font/woff", woff2 = "font/woff2", xml = "application/xml",
    yaml = "application/yaml", yml = "application/yaml", zip = "application/zip",
}

--- The Content-Type for a file's name; text is taken to be UTF-8.
function media.of(name)
    local ending = name:match("%.([%w]+)$")
    local kind = ending and types[ending:lower()] or unknown
    if kind:match("^text/") or kind == "image/svg+xml" or kind == "application/xml" then
        return kind .. "; charset=utf-8"
    end
    return kind
end

return media
