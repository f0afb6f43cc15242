-- tests/lint/check_format.lua - C is laid out as clang-format does it. Versions differ in details: this warns and does not fail.
--
-- usage: luajit check_format.lua ROOT

package.path = arg[0]:gsub("[^/]+$", "") .. "?.lua;" .. package.path
local lint = require "lint"
local root = lint.root()
if not lint.has_tool("clang-format") then lint.skip("clang-format is not installed") end

local files = lint.files(root, "server", "c", "h")
for _, file in ipairs(lint.files(root, "tests", "c", "h")) do files[#files + 1] = file end
local quoted = {}
for i, file in ipairs(files) do quoted[i] = lint.quoted(file) end
local differ = {}
local command = ("cd %s && clang-format --dry-run %s 2>&1"):format(lint.quoted(root), table.concat(quoted, " "))
for _, line in ipairs(lint.output(command)) do
  local file, no = line:match("^([^:]+):(%d+):%d+: warning:")
  if file and not differ[file] then
    differ[file] = true
    lint.warn(file, tonumber(no), "run clang-format -i on it")
  end
end
lint.finish(#files .. " files")
