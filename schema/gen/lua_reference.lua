-- schema/gen/lua_reference.lua - writes the reference of the policy API from schema/lua_api.lua and schema/hooks.lua.
--
-- usage: luajit lua_reference.lua SCHEMADIR OUT.md

local schema_dir, out_path = arg[1], arg[2]
local api, hooks = dofile(schema_dir .. "/lua_api.lua"), dofile(schema_dir .. "/hooks.lua")

local out = {}
local function line(...) out[#out + 1] = string.format(...) end

local function cell(text) return (text:gsub("|", "\\|")) end

-- Where an entry is available, as a sentence; nothing when that is everywhere.
local function where(entry)
  local parts = {}
  if entry.waits then parts[#parts + 1] = "Waits." end
  if entry.only_in then parts[#parts + 1] = "Only in " .. table.concat(entry.only_in, ", ") .. "." end
  if entry.not_in then parts[#parts + 1] = "Not in " .. table.concat(entry.not_in, ", ") .. "." end
  if (entry.since or 1) > 1 then parts[#parts + 1] = "Since version " .. entry.since .. "." end
  return #parts > 0 and " " .. table.concat(parts, " ") or ""
end

line("# The policy API, version %d\n", api.api)
line("Made from `schema/lua_api.lua` and `schema/hooks.lua`.\n")

line("## Hooks\n")
line("Each is called as `on.<name>(arguments)` and returns a verdict, or nothing for \"no opinion\".\n")
line("| hook | arguments | verdicts | when |\n|---|---|---|---|")
for _, h in ipairs(hooks.hooks) do
  line("| `%s` | %s | %s | %s |", h.name, table.concat(h.args, ", "), table.concat(h.verdicts, ", "), cell(h.doc))
end
line("\n## Observers\n")
line("They are told; they cannot wait and cannot decide.\n")
line("| observer | arguments | when |\n|---|---|---|")
for _, o in ipairs(hooks.observers) do
  line("| `%s` | %s | %s |", o.name, table.concat(o.args, ", "), cell(o.doc))
end

line("\n## Modules\n")
for _, module in ipairs(api.modules) do
  line("### %s\n\n%s\n", module[1], module.doc)
  for _, f in ipairs(module.functions) do
    line("- `%s.%s` `%s`: %s.%s", module[1], f[1], f[2], f[3], where(f))
    if f.example then line("  `%s` gives `%s`", f.example, f.gives) end
  end
  line("")
end

line("## Views\n")
for _, view in ipairs(api.views) do
  line("### %s\n\n%s; read-only.\n", view[1], view.doc)
  for _, f in ipairs(view.fields) do line("- `%s.%s` (%s): %s.%s", view[1], f[1], f[2], f[3], where(f)) end
  for _, m in ipairs(view.methods) do line("- `%s:%s` `%s`: %s.%s", view[1], m[1], m[2], m[3], where(m)) end
  line("")
end

line("## Globals\n")
line("%s; of `string`: %s.", table.concat(api.globals, " "), table.concat(api.strings, " "))

local f = assert(io.open(out_path, "wb"))
assert(f:write(table.concat(out, "\n"), "\n"))
assert(f:close())
