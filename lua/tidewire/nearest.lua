--- Finds the known name that somebody most likely meant: every "did you mean" asks here.
local nearest = {}

-- "readyState", "ready-state" and "Ready_State" all mean "ready_state".
local function normalise(name)
    return (name:gsub("(%l)(%u)", "%1_%2"):lower():gsub("%-", "_"))
end

-- Edits (insert, delete, replace, swap of two neighbours) that turn `a` into `b`.
local function distance(a, b)
    local before, previous = nil, {}
    for j = 0, #b do
        previous[j] = j
    end
    for i = 1, #a do
        local row = { [0] = i }
        for j = 1, #b do
            local cost = a:byte(i) == b:byte(j) and 0 or 1
            local best = math.min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + cost)
            if before and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
                best = math.min(best, before[j - 2] + 1)
            end
            row[j] = best
        end
        before, previous = previous, row
    end
    return previous[#b]
end

-- A third of the letters may be wrong, three at most; of a short name, one; of one or two, none.
local function tolerance(name)
    if #name < 3 then
        return 0
    end
    return math.min(3, #name // 3)
end

--- The candidate nearest to `name`, or nil when none is near; one that differs in case alone
-- always is. `name` need not be a string (a table's key may be anything): what is none has no
-- neighbours. Of equally near candidates the
-- alphabetically first wins, so that messages do not change from run to run.
function nearest.find(name, candidates)
    if type(name) ~= "string" then
        return nil
    end
    local wanted = normalise(name)
    local limit = tolerance(wanted)
    local found, found_distance
    for _, candidate in ipairs(candidates) do
        local plain = normalise(candidate)
        local same = candidate:lower() == name:lower()
        if same or math.abs(#plain - #wanted) <= limit then
            local d = same and 0 or distance(wanted, plain)
            if d <= limit
                and (not found or d < found_distance or (d == found_distance and candidate < found)) then
                found, found_distance = candidate, d
            end
        end
    end
    return found
end

--- " (did you mean `x`?)", or "" when no candidate is near.
function nearest.hint(name, candidates)
    local found = nearest.find(name, candidates)
    return found and (" (did you mean `%s`?)"):format(found) or ""
end

return nearest
