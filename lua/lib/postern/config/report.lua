-- lua/lib/postern/config/report.lua - what is wrong with a configuration, and where.
--
-- A place is { file =, line = [, node = a node of places.lua] }; report:inside(place, value, key) is that of a key or item.

local M = {}
M.__index = M

function M.new(filename)
  return setmetatable({ filename = filename, list = {}, seen = {}, origins = setmetatable({}, { __mode = "k" }) }, M)
end

local function add(self, place, warning, ...)
  local text = string.format(...):gsub("\\?\n", "\\n"):gsub("%c", "?")
  local problem = { file = place.file or self.filename, line = place.line or 1, text = text, warning = warning }
  local key = table.concat({ problem.file, problem.line, problem.text }, "\0")
  if self.seen[key] then return end -- a list that two listeners share is wrong once
  self.seen[key] = true
  self.list[#self.list + 1] = problem
end

function M:problem(place, ...) add(self, place, nil, ...) end
function M:warning(place, ...) add(self, place, true, ...) end

function M:has_problem_at(line)
  for _, problem in ipairs(self.list) do
    if problem.line == line and problem.file == self.filename then return true end
  end
  return false
end

-- The list @value came from a file: its items have the lines of that file.
function M:set_origin(value, file, lines)
  self.origins[value] = { file = file, lines = lines }
end

function M:inside(place, value, key)
  local origin = type(value) == "table" and self.origins[value]
  if origin and origin.lines[key] then return { file = origin.file, line = origin.lines[key] } end
  local node = place.node
  local child = node and (type(key) == "number" and node.items and node.items[key] or node.keys and node.keys[key])
  return { file = place.file, line = child and child.line or place.line, node = child or nil }
end

-- In the order of files and lines, those of the configuration file first.
function M:sorted()
  local rank = {}
  for i, problem in ipairs(self.list) do rank[problem] = i end
  table.sort(self.list, function(a, b)
    if a.file ~= b.file then
      if a.file == self.filename or b.file == self.filename then return a.file == self.filename end
      return a.file < b.file
    end
    if a.line ~= b.line then return a.line < b.line end
    return rank[a] < rank[b]
  end)
  return self.list
end

local function distance(a, b)
  local before, row = {}, {}
  for j = 0, #b do row[j] = j end
  local older
  for i = 1, #a do
    older, before, row = before, row, { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], older[j - 2] + 1)
      end
    end
  end
  return row[#b]
end

-- "; did you mean x?" if one of @names is near @name, else "".
function M.suggest(name, names)
  local best, best_distance
  for _, candidate in ipairs(names) do
    local d = #name <= 100 and distance(name:lower(), candidate:lower()) or math.huge
    if d <= math.max(1, math.floor(#candidate / 4)) and (not best_distance or d < best_distance) then
      best, best_distance = candidate, d
    end
  end
  return best and ("; did you mean %s?"):format(best) or ""
end

-- How a value is called in a message; never the value of a secret.
function M.name_of(value)
  local kind = type(value)
  if kind == "string" then
    return #value > 60 and ("%q..."):format(value:sub(1, 57)) or ("%q"):format(value)
  elseif kind == "number" or kind == "boolean" then
    return tostring(value)
  elseif value == nil then
    return "nothing"
  elseif kind == "table" and getmetatable(value) then
    return "what " .. tostring(getmetatable(value).word or "a word") .. " returned"
  end
  return "a " .. kind
end

return M
