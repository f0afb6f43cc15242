-- tests/lint/check_luacheck.lua - luacheck over all Lua that we write, as .luacheckrc says.
--
-- usage: luajit check_luacheck.lua ROOT

package.path = arg[0]:gsub("[^/]+$", "") .. "?.lua;" .. package.path
local lint = require "lint"
local root = lint.root()
if not lint.has_tool("luacheck") then lint.skip("luacheck is not installed") end

local files = {}
for _, dir in ipairs { "schema", "lua", "tests", "contrib" } do
  for _, file in ipairs(lint.files(root, dir, "lua")) do
    if not file:match("^tests/fuzz/corpus/") then files[#files + 1] = lint.quoted(file) end
  end
end
local lines = lint.output(("cd %s && luacheck --no-color --formatter plain --codes %s 2>&1"):format(
  lint.quoted(root), table.concat(files, " ")))
for _, line in ipairs(lines) do
  local file, no, what = line:match("^([^:]+):(%d+):%d+:%s*(.+)$")
  if file then
    lint.fail(file, tonumber(no), "%s", what)
  elseif line ~= "" then
    lint.fail("luacheck", 0, "%s", line)
  end
end
lint.finish(#files .. " files")
