-- schema/gen/embed_lua.lua - makes one C file of the Lua files that are part of the program (server/policy/embedded.h).
--
-- usage: luajit embed_lua.lua OUT.c NAME=PATH...

local out_path = arg[1]
local files = {}
for i = 2, #arg do
  local name, path = arg[i]:match("^([^=]+)=(.+)$")
  local f = assert(io.open(path, "rb"))
  files[#files + 1] = { name = name, text = f:read("*a") }
  f:close()
  -- What does not compile must not be built in.
  assert(loadstring(files[#files].text, "@" .. path))
end
table.sort(files, function(a, b) return a.name < b.name end)

local out = { "/* made by schema/gen/embed_lua.lua; edit the Lua files. */\n#include \"policy/embedded.h\"\n" }
for i, f in ipairs(files) do
  out[#out + 1] = ("\nstatic const unsigned char file_%d[] = {"):format(i)
  local line = {}
  for at = 1, #f.text do
    line[#line + 1] = ("%d,"):format(f.text:byte(at))
    if #line == 40 or at == #f.text then
      out[#out + 1] = "\n" .. table.concat(line)
      line = {}
    end
  end
  out[#out + 1] = (#f.text == 0 and "0" or "") .. "\n};\n"
end
out[#out + 1] = "\nconst struct embedded_file embedded_files[] = {\n"
for i, f in ipairs(files) do out[#out + 1] = ("\t{ %q, file_%d, %d },\n"):format(f.name, i, #f.text) end
out[#out + 1] = ("};\nconst size_t embedded_files_n = %d;\n"):format(#files)
local f = assert(io.open(out_path, "wb"))
assert(f:write(table.concat(out)))
assert(f:close())
