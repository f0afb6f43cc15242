-- tests/lint/check_log.lua - log records are filled as schema/log_events.lua allows, as far as one can see without running: a
-- field has the type of the function that writes it, and between a log_begin() with a named event and its log_end() it is one of
-- that event's. base/log.c checks the rest when it runs.
--
-- usage: luajit check_log.lua ROOT

package.path = arg[0]:gsub("[^/]+$", "") .. "?.lua;" .. package.path
local lint = require "lint"
local root = lint.root()
local schema = dofile(root .. "/schema/log_events.lua")

local WRITERS = { log_str = "str", log_cstr = "str", log_int = "int", log_bool = "bool", log_json = "json" }

local types, allowed = {}, {}
for _, f in ipairs(schema.fields) do types["LOG_F_" .. f[1]:upper()] = f[2] end
for _, e in ipairs(schema.events) do
  local set = {}
  for _, name in ipairs(e[4]) do set["LOG_F_" .. name:upper()] = true end
  allowed["LOG_EV_" .. e[1]:upper()] = set
end

local function check_call(file, no, name, args, event)
  local field = args:match("%f[%w_](LOG_F_[%w_]+)")
  if WRITERS[name] and field then
    if not types[field] then
      lint.fail(file, no, "%s is not in the schema", field)
    elseif types[field] ~= WRITERS[name] then
      lint.fail(file, no, "%s is of type %s, which %s() does not write", field, types[field], name)
    elseif event and not allowed[event][field] then
      lint.fail(file, no, "%s has no %s in schema/log_events.lua", event, field)
    end
  end
end

-- The pattern for a call does not look into parentheses: those of `if (log_begin(...))` are taken away first.
local function without_conditions(code)
  return (code:gsub("%f[%w_](%a+)(%s*)%(", function(word, space)
    local opens = word == "if" or word == "while" or word == "for" or word == "switch" or word == "return"
    return opens and word .. space .. " " or nil
  end))
end

-- Calls in the order of the text; an event is known until log_end() or the end of the function.
local function check_file(file)
  local code = without_conditions((lint.split_c(lint.read(root, file))))
  local event
  local no, counted = 1, 1
  for at, name, args in code:gmatch("()%f[%w_}]([%w_}]+)(%b())") do
    local _, newlines = code:sub(counted, at - 1):gsub("\n", "")
    if code:sub(counted, at - 1):find("\n}", 1, true) then event = nil end
    no, counted = no + newlines, at
    local named = args:match("%f[%w_](LOG_EV_[%w_]+)")
    if named and not allowed[named] then
      lint.fail(file, no, "%s is not in the schema", named)
      named = nil
    end
    if name:match("_begin$") then
      event = named
    elseif name == "log_text" then
      if named and not allowed[named].LOG_F_TEXT then lint.fail(file, no, "%s has no text", named) end
    elseif name == "log_end" then
      event = nil
    else
      check_call(file, no, name, args, event)
    end
  end
end

local files = lint.files(root, "server", "c")
for _, file in ipairs(files) do
  if not file:match("^server/base/") then check_file(file) end
end
lint.finish(#files .. " files")
