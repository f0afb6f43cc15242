-- tests/lint/check_headers.lua - a header says what it is, in its first comment, and where its tests are.
--
-- usage: luajit check_headers.lua ROOT
--
-- The comment begins with "dir/file.h - ". In a header for others (not x_priv.h, and not one that calls itself "private to") it
-- says "Tests:" with files that exist.

package.path = arg[0]:gsub("[^/]+$", "") .. "?.lua;" .. package.path
local lint = require "lint"
local root = lint.root()

local function check_tests(file, comment)
  local where = comment:match("Tests:(.*)$")
  if not where then
    lint.fail(file, 1, "its first comment does not say Tests:")
    return
  end
  local some = false
  for path in where:gmatch("tests/[%w_/.*-]*[%w_*]") do
    some = true
    if path:find("*", 1, true) then
      if #lint.output(("cd %s && ls -d %s 2>/dev/null"):format(lint.quoted(root), path)) == 0 then
        lint.fail(file, 1, "no test is called %s", path)
      end
    elseif not lint.exists(root .. "/" .. path) then
      lint.fail(file, 1, "%s does not exist", path)
    end
  end
  if not some then lint.fail(file, 1, "Tests: names no file below tests/") end
end

local files = lint.files(root, "server", "h")
for _, file in ipairs(files) do
  local text = lint.read(root, file)
  local name = file:gsub("^server/", "")
  local comment = text:match("^/%*(.-)%*/")
  if not comment then
    lint.fail(file, 1, 'begins with a comment: "/* %s - what it is ..."', name)
  elseif comment:sub(1, #name + 4) ~= " " .. name .. " - " then
    lint.fail(file, 1, 'its first comment begins with "/* %s - "', name)
  elseif not name:match("_priv%.h$") and not comment:match("private to") then
    check_tests(file, comment)
  end
  if not text:match("\n#pragma once\n") then lint.fail(file, 1, "#pragma once is missing") end
end
lint.finish(#files .. " headers")
