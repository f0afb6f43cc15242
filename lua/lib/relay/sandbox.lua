-- relay/sandbox.lua - the globals of policies and of the configuration file: a list of what is allowed.
--
-- Left out on purpose: io os debug ffi jit package coroutine load* dofile collectgarbage newproxy getfenv setfenv string.dump,
-- print, and rawset (it would write into what is read-only). Replaced: whatever would call Lua from C, since a budget cannot stop
-- what it cannot make yield (table.sort, string.gsub, xpcall), and the pattern matchers, which run on core.pattern and its budget.

local core = require "relay.core"

local M = {}

local error, pcall, type, tostring, setmetatable, select, unpack = error, pcall, type, tostring, setmetatable, select, unpack
local sub, byte, concat = string.sub, string.byte, table.concat

-- A view of a table that cannot be written to; `what` names it in the error.
function M.readonly(t, what)
  return setmetatable({}, {
    __index = t,
    __newindex = function(_, key)
      error(("%s is read-only: '%s' cannot be set"):format(what, tostring(key)), 2)
    end,
    __metatable = false,
  })
end

-- ---- string ----------------------------------------------------------------------------------------------------------

local step = core.pattern.step

local function gmatch(s, pattern)
  s = tostring(s)
  local at = 1
  local function found(first, last, ...)
    if not first then return nil end
    at = last < first and first + 1 or last + 1
    return ...
  end
  return function()
    return found(step(s, pattern, at, true))
  end
end

-- The replacement text with %0 .. %9 filled in.
local function expand(text, whole, ...)
  local out, n, from = {}, 0, 1
  local length = #text
  local i = 1
  while i <= length do
    if byte(text, i) == 37 then
      local c = sub(text, i + 1, i + 1)
      local value
      if c == "0" then
        value = whole
      elseif c >= "1" and c <= "9" then
        local number = byte(c) - 48
        if number > select("#", ...) then error("invalid capture index", 0) end
        value = tostring((select(number, ...)))
      else
        value = c
      end
      n = n + 1
      out[n] = sub(text, from, i - 1) .. value
      from = i + 2
      i = i + 1
    end
    i = i + 1
  end
  return concat(out) .. sub(text, from)
end

local function replacement(repl, kind, whole, ...)
  local value
  if kind == "string" then
    return expand(repl, whole, ...)
  elseif kind == "table" then
    value = repl[(...)]
  else
    value = repl(...)
  end
  if not value then return whole end
  if type(value) ~= "string" and type(value) ~= "number" then
    error(("invalid replacement value (a %s)"):format(type(value)), 0)
  end
  return tostring(value)
end

local function gsub(s, pattern, repl, max)
  s = tostring(s)
  local kind = type(repl)
  if kind == "number" then
    repl, kind = tostring(repl), "string"
  elseif kind ~= "string" and kind ~= "table" and kind ~= "function" then
    error("bad argument #3 to 'gsub' (string/function/table expected)", 2)
  end
  local anchored = byte(pattern, 1) == 94
  local out, n, count, at, length = {}, 0, 0, 1, #s
  local copied = 1 -- what is before this is in `out`
  local function take(first, last, ...)
    if not first then return false end
    count = count + 1
    n = n + 1
    out[n] = sub(s, copied, first - 1) .. replacement(repl, kind, sub(s, first, last), ...)
    copied = last + 1
    at = last < first and first + 1 or last + 1
    return true
  end
  while (not max or count < max) and at <= length + 1 do
    if not take(step(s, pattern, at)) or anchored then break end
  end
  return concat(out) .. sub(s, copied), count
end

local function strings()
  return {
    byte = string.byte, char = string.char, format = string.format, len = string.len, lower = string.lower,
    rep = string.rep, reverse = string.reverse, sub = string.sub, upper = string.upper,
    find = core.pattern.find, match = core.pattern.match, gmatch = gmatch, gsub = gsub,
  }
end

-- ---- table -----------------------------------------------------------------------------------------------------------

local function less(a, b) return a < b end

local function merge(from, to, first, middle, last, before)
  local a, b = first, middle + 1
  for i = first, last do
    if b > last or (a <= middle and not before(from[b], from[a])) then
      to[i] = from[a]
      a = a + 1
    else
      to[i] = from[b]
      b = b + 1
    end
  end
end

-- A merge sort in Lua: stable, and a comparison that never ends can be stopped.
local function sort(t, before)
  before = before or less
  local n = #t
  local from, to = t, {}
  local width = 1
  while width < n do
    for first = 1, n, 2 * width do
      local middle = first + width - 1
      local last = first + 2 * width - 1
      if last > n then last = n end
      if middle > n then middle = n end
      merge(from, to, first, middle, last, before)
    end
    from, to = to, from
    width = 2 * width
  end
  if from ~= t then
    for i = 1, n do t[i] = from[i] end
  end
end

local function tables()
  return {
    concat = table.concat, insert = table.insert, remove = table.remove, maxn = table.maxn, sort = sort, unpack = unpack,
  }
end

-- ---- the rest --------------------------------------------------------------------------------------------------------

-- The handler is called after the error and not within it: where the error is, nothing could stop a handler that loops.
local function handled(handler, ok, ...)
  if ok then return true, ... end
  return false, handler(...)
end

local function xpcall(f, handler, ...)
  return handled(handler, pcall(f, ...))
end

local function without(t, name)
  local copy = {}
  for k, v in pairs(t) do
    if k ~= name then copy[k] = v end
  end
  return copy
end

local string_table = strings()

-- The methods of strings are the same for everybody in this state, and nobody gets at the metatable.
local string_meta = getmetatable("")
string_meta.__index = string_table
string_meta.__metatable = false

local globals = {
  assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, next = next, pairs = pairs, pcall = pcall,
  rawequal = rawequal, rawget = rawget, select = select, setmetatable = setmetatable, tonumber = tonumber, tostring = tostring,
  type = type, unpack = unpack, xpcall = xpcall,
  _VERSION = _VERSION,
  string = M.readonly(string_table, "string"),
  table = M.readonly(tables(), "table"),
  math = M.readonly(without(math, "randomseed"), "math"),
  bit = M.readonly(bit, "bit"),
}

-- A new table with all of them.
function M.globals()
  local copy = {}
  for k, v in pairs(globals) do copy[k] = v end
  return copy
end

-- An environment for one file: the globals and `more`; nothing can be added, and a name that is not there is an error and not nil.
function M.environment(more)
  local all = M.globals()
  for k, v in pairs(more) do all[k] = v end
  setmetatable(all, {
    __index = function(_, key)
      error(("there is no global '%s'"):format(tostring(key)), 2)
    end,
  })
  return setmetatable({}, {
    __index = all,
    __newindex = function(_, key)
      error(("globals are read-only: write 'local %s'"):format(tostring(key)), 2)
    end,
    __metatable = false,
  })
end

return M
