-- cli/text.lua - what people read: tables, sizes, times. Widths are in columns of a terminal, not in octets.

local text = {}

-- What a peer said must not move the cursor: control characters become "?", a tab a space. Octets that are no UTF-8 do not come
-- here: the server's JSON has U+FFFD for them.
function text.clean(s)
  s = tostring(s):gsub("\t", " "):gsub("[%z\1-\31\127]", "?"):gsub("\194[\128-\159]", "?")
  return s
end

-- Ranges of characters that take no column, or two: what mail addresses and subjects are likely to hold.
local NONE = { { 0x300, 0x36f }, { 0x483, 0x489 }, { 0x591, 0x5bd }, { 0x610, 0x61a }, { 0x64b, 0x65f }, { 0x200b, 0x200f },
  { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f }, { 0xe0100, 0xe01ef } }
local TWO = { { 0x1100, 0x115f }, { 0x2e80, 0x303e }, { 0x3041, 0xa4cf }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff },
  { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff },
  { 0x20000, 0x3fffd } }

local function within(ranges, c)
  for _, r in ipairs(ranges) do
    if c < r[1] then return false end
    if c <= r[2] then return true end
  end
  return false
end

local function code_point(ch)
  local first = ch:byte(1)
  if first < 0x80 then return first end
  local c = first < 0xe0 and first - 0xc0 or first < 0xf0 and first - 0xe0 or first - 0xf0
  for i = 2, #ch do c = c * 64 + (ch:byte(i) - 0x80) end
  return c
end

local CHARACTER = "[%z\1-\127\192-\255][\128-\191]*"

function text.width(s)
  local n = 0
  for ch in s:gmatch(CHARACTER) do
    local c = code_point(ch)
    n = n + (within(NONE, c) and 0 or within(TWO, c) and 2 or 1)
  end
  return n
end

-- At most @columns wide; what was cut shows as an ellipsis.
function text.cut(s, columns)
  if text.width(s) <= columns then return s end
  local out, n = {}, 0
  for ch in s:gmatch(CHARACTER) do
    local w = text.width(ch)
    if n + w > columns - 1 then break end
    out[#out + 1] = ch
    n = n + w
  end
  return table.concat(out) .. "…"
end

-- @columns: { { "TITLE", right = true, max = 40 }, ... }; @rows: lists of values, nil as false. The last column is never filled up.
function text.table(columns, rows)
  local widths, cells = {}, {}
  for i, c in ipairs(columns) do widths[i] = text.width(c[1]) end
  for r, row in ipairs(rows) do
    cells[r] = {}
    for i, c in ipairs(columns) do
      local cell = row[i]
      cell = (cell == nil or cell == false) and "-" or text.clean(cell)
      if c.max then cell = text.cut(cell, c.max) end
      cells[r][i] = cell
      widths[i] = math.max(widths[i], text.width(cell))
    end
  end
  local function line(values)
    local out = {}
    for i, c in ipairs(columns) do
      local fill = (" "):rep(widths[i] - text.width(values[i]))
      if c.right then out[i] = fill .. values[i]
      elseif i < #columns then out[i] = values[i] .. fill
      else out[i] = values[i] end
    end
    return (table.concat(out, "  "):gsub(" +$", ""))
  end
  local titles = {}
  for i, c in ipairs(columns) do titles[i] = c[1] end
  local lines = { line(titles) }
  for r = 1, #cells do lines[#lines + 1] = line(cells[r]) end
  return table.concat(lines, "\n") .. "\n"
end

function text.size(octets)
  local units = { "B", "K", "M", "G", "T" }
  local n, u = octets, 1
  while n >= 1000 and u < #units do n, u = n / 1024, u + 1 end
  return u == 1 and ("%d"):format(n) or ("%.1f%s"):format(n, units[u])
end

-- The two largest units of a number of seconds.
function text.duration(seconds)
  local s = math.max(0, math.floor(seconds))
  if s < 60 then return s .. "s" end
  if s < 3600 then return ("%dm%02ds"):format(math.floor(s / 60), s % 60) end
  if s < 86400 then return ("%dh%02dm"):format(math.floor(s / 3600), math.floor(s % 3600 / 60)) end
  return ("%dd%02dh"):format(math.floor(s / 86400), math.floor(s % 86400 / 3600))
end

function text.time(unix)
  return os.date("!%Y-%m-%d %H:%M:%SZ", unix)
end

-- "2h", "1h30m", "90s", "3d": seconds, or nil.
function text.seconds(s)
  local units = { s = 1, m = 60, h = 3600, d = 86400, w = 604800 }
  local total, at = 0, 1
  while at <= #s do
    local n, unit, stop = s:match("^(%d+)([smhdw])()", at)
    if not n then return nil end
    total, at = total + tonumber(n) * units[unit], stop
  end
  return at > 1 and total or nil
end

function text.plural(n, one, many)
  return ("%d %s"):format(n, n == 1 and one or many or (one .. "s"))
end

return text
