-- tests/lint/check_size.lua - a file is one noun and a function fits a screen.
--
-- usage: luajit check_size.lua ROOT
--
-- Files of server/ and lua/: over 600 lines fails, over 400 warns. Functions: over 100 lines fails, over 80 warns. Lines of code:
-- over 132 columns fails (.clang-format aims at 110; comments and tables may be a little wider).

package.path = arg[0]:gsub("[^/]+$", "") .. "?.lua;" .. package.path
local lint = require "lint"
local root = lint.root()

local FILE_MAX, FILE_WARN, FUNCTION_MAX, FUNCTION_WARN, COLUMNS_MAX = 600, 400, 100, 80, 132

local function check_function(file, first, last, name)
  local n = last - first + 1
  if n > FUNCTION_MAX then
    lint.fail(file, first, "%s has %d lines; at most %d, better %d", name, n, FUNCTION_MAX, FUNCTION_WARN)
  elseif n > FUNCTION_WARN then
    lint.warn(file, first, "%s has %d lines; aim at %d", name, n, FUNCTION_WARN)
  end
end

-- In C, "{" and "}" stand in the first column for functions only; a Lua function that does so ends with "end" there.
local function check_functions(file, lines, is_c)
  local first, name
  for no, line in ipairs(lines) do
    if is_c then
      if line == "{" then
        first = no
        name = (lines[no - 1] or ""):match("([%w_]+)%(") or (lines[no - 2] or ""):match("([%w_]+)%(") or "a function"
      elseif line:match("^}") and first then
        check_function(file, first, no, name)
        first = nil
      end
    elseif line:match("^local function") or line:match("^function") then
      first, name = no, line:match("function%s+([%w_.:]+)") or "a function"
    elseif line:match("^end") and first then
      check_function(file, first, no, name)
      first = nil
    end
  end
end

local function columns(line)
  local n = 0
  for c in line:gmatch("[^\128-\191]") do -- a character of UTF-8 is one column
    n = c == "\t" and n - n % 8 + 8 or n + 1
  end
  return n
end

local count = 0
for _, dir in ipairs { "server", "lua" } do
  for _, file in ipairs(lint.files(root, dir, "c", "h", "lua")) do
    count = count + 1
    local lines = lint.lines(lint.read(root, file))
    if #lines > FILE_MAX then
      lint.fail(file, #lines, "%d lines; at most %d: it holds more than one noun", #lines, FILE_MAX)
    elseif #lines > FILE_WARN then
      lint.warn(file, #lines, "%d lines; aim at %d", #lines, FILE_WARN)
    end
    check_functions(file, lines, file:match("%.[ch]$") ~= nil)
    for no, line in ipairs(lines) do
      if columns(line) > COLUMNS_MAX then lint.fail(file, no, "%d columns; at most %d", columns(line), COLUMNS_MAX) end
    end
  end
end
lint.finish(count .. " files")
