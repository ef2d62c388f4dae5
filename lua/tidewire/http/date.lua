--- Dates of HTTP (RFC 9110 section 5.6.7): written in the one form, read in all three.
local date = {}

local months = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }
local weekdays = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local long_weekdays = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" }

local function numbered(names)
    local out = {}
    for i, name in ipairs(names) do
        out[name] = i
    end
    return out
end

local month_number = numbered(months)
local weekday_number, long_weekday_number = numbered(weekdays), numbered(long_weekdays)

-- Days from 1970-01-01 to a day of the Gregorian calendar, years counted from March.
local function days(year, month, day)
    if month <= 2 then
        year, month = year - 1, month + 12
    end
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
end

--- "Sun, 06 Nov 1994 08:49:37 GMT" for whole or fractional seconds since 1970.
function date.format(seconds)
    local whole = seconds // 1 | 0
    local t = os.date("!*t", whole)
    return ("%s, %02d %s %04d %02d:%02d:%02d GMT"):format(weekdays[t.wday], t.day, months[t.month], t.year,
        t.hour, t.min, t.sec)
end

local function seconds_of(year, month, day, hour, minute, second)
    year, day = tonumber(year), tonumber(day)
    hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second)
    month = month_number[month]
    if not month or day < 1 or hour > 23 or minute > 59 or second > 60 then
        return nil
    end
    local first = days(year, month, 1)
    local next_first = month == 12 and days(year + 1, 1, 1) or days(year, month + 1, 1)
    if day > next_first - first then
        return nil
    end
    return ((first + day - 1) * 24 + hour) * 3600 + minute * 60 + second
end

-- A year of two digits that seems to be more than 50 years ahead is one of the past.
local function full_year(two_digits, now)
    local current = os.date("!*t", now // 1 | 0).year
    local year = current - current % 100 + tonumber(two_digits)
    return year > current + 50 and year - 100 or year
end

--- Seconds since 1970 for a date in any of the three forms, or nil. `now` (default: the clock)
-- decides the century of a year with two digits.
function date.parse(text, now)
    local weekday, day, month, year, hour, minute, second =
        text:match("^(%a%a%a), (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$")
    if weekday then
        return weekday_number[weekday] and seconds_of(year, month, day, hour, minute, second)
    end
    weekday, day, month, year, hour, minute, second =
        text:match("^(%a+), (%d%d)%-(%a%a%a)%-(%d%d) (%d%d):(%d%d):(%d%d) GMT$")
    if weekday then
        return long_weekday_number[weekday]
            and seconds_of(full_year(year, now or os.time()), month, day, hour, minute, second)
    end
    weekday, month, day, hour, minute, second, year =
        text:match("^(%a%a%a) (%a%a%a) ([ %d]%d) (%d%d):(%d%d):(%d%d) (%d%d%d%d)$")
    if weekday then
        return weekday_number[weekday] and seconds_of(year, month, day, hour, minute, second)
    end
    return nil
end

return date
