-- tests/lint/check_shell.lua - every shell script parses, and shellcheck has nothing to say about it where that is installed.
--
-- usage: luajit check_shell.lua ROOT

package.path = arg[0]:gsub("[^/]+$", "") .. "?.lua;" .. package.path
local lint = require "lint"
local root = lint.root()

-- Scripts have a shell in their first line; not all of them end in .sh.
local SCRIPT = "'^#!.*[/ ](sh|bash|dash)( |$)'"
local files = lint.output(("cd %s && grep -rIlE %s .ci contrib docker tests 2>/dev/null | LC_ALL=C sort"):format(
  lint.quoted(root), SCRIPT))
local has_shellcheck = lint.has_tool("shellcheck")
for _, file in ipairs(files) do
  local first = lint.lines(lint.read(root, file))[1] or ""
  local shell = first:match("^#!.*[/ ](%a*sh)")
  if shell then
    for _, line in ipairs(lint.output(("cd %s && %s -n %s 2>&1"):format(lint.quoted(root), shell, lint.quoted(file)))) do
      lint.fail(file, 1, "%s", line)
    end
    if has_shellcheck then
      for _, line in ipairs(lint.output(("cd %s && shellcheck -f gcc %s 2>&1"):format(lint.quoted(root), lint.quoted(file)))) do
        lint.fail(file, tonumber(line:match(":(%d+):")) or 1, "%s", line:match(":%d+:%d+: (.*)$") or line)
      end
    end
  end
end
lint.finish(#files .. " scripts")
