-- tests/lint/check_globals.lua - no mutable state at file scope: the objects' .data, .bss, .tdata and common are empty but for
-- what tests/lint/globals_allowed.lua names, with the reason.
--
-- usage: luajit check_globals.lua ROOT BUILD
--
-- Reads the symbol tables of the layers' libraries and of the program's objects. Only for builds without sanitizers and coverage:
-- those add symbols of their own.

package.path = arg[0]:gsub("[^/]+$", "") .. "?.lua;" .. package.path
local lint = require "lint"
local root, build = lint.root(), arg[2]
if not lint.has_tool("objdump") then lint.skip("objdump is not installed") end

local allowed = dofile(root .. "/tests/lint/globals_allowed.lua")
local used = {}
local objects = 0

local function check_symbols(command)
  local member, source
  for _, line in ipairs(lint.output(command)) do
    local object = line:match("^(%S+):%s+file format")
    if object then
      member = object:match("([^/]+)%.c%.o$")
      source = member and member .. ".c"
      objects = objects + 1
    end
    -- address, flags, section, size, name; the flags say O for an object
    local flags, section, name = line:match("^%x+ (.......) (%S+)%s+%x+%s+(.+)$")
    if source and flags and (section == "*COM*" or flags:find("O", 1, true)) then
      local mutable = section == "*COM*" or section:match("^%.t?data") or section:match("^%.t?bss")
      if mutable and not section:match("^%.data%.rel%.ro") then
        name = name:gsub("^%.hidden ", ""):gsub("%.%d+$", "")
        if allowed[source] and allowed[source][name] then
          used[source .. " " .. name] = true
        else
          lint.fail(source, 1, "%s is mutable and at file scope (%s); pass it as an argument", name, section)
        end
      end
    end
  end
end

local sources = lint.output(("find %s -name 'liblayer_*.a' -o -path '*postern.dir*' -name '*.c.o'"):format(lint.quoted(build)))
if #sources == 0 then lint.skip("nothing is built in %s", build) end
for _, path in ipairs(sources) do check_symbols("objdump -t " .. lint.quoted(path)) end
for source, names in pairs(allowed) do
  for name in pairs(names) do
    if not used[source .. " " .. name] then lint.warn(source, 1, "%s is allowed and not there", name) end
  end
end
lint.finish(objects .. " objects")
