-- schema/gen/config_doc.lua - writes config.md, the operators' table of all options, from schema/config.lua.
--
-- usage: luajit config_doc.lua SCHEMADIR OUT.md

local schema_dir, out_path = arg[1], arg[2]
package.path = schema_dir .. "/../?.lua;" .. package.path
local schema = require "schema.config"

local function fail(...)
  io.stderr:write("schema/config.lua: ", string.format(...), "\n")
  os.exit(1)
end

local function shown(value)
  if type(value) == "table" then return next(value) == nil and "none" or table.concat(value, ", ") end
  return "`" .. (type(value) == "string" and ("%q"):format(value) or tostring(value)) .. "`"
end

local function default_of(option)
  local default = option.default
  if option.required then return "required" end
  if type(default) == "table" and default.from then
    return "that of `" .. default.from .. "`" .. (default.otherwise and ", or " .. shown(default.otherwise) or "")
  end
  return default == nil and "" or shown(default)
end

local function type_of(option)
  local text = option[2]
  if text == "enum" or text == "words" then text = text .. ": " .. table.concat(option.words, " ") end
  if text == "table" then text = ("[table](#%s)"):format(option.scope) end
  local bounds = {}
  if option.min then bounds[#bounds + 1] = "from " .. option.min end
  if option.max then bounds[#bounds + 1] = "to " .. option.max end
  return #bounds > 0 and text .. ", " .. table.concat(bounds, " ") or text
end

local function cell(text)
  return (text:gsub("|", "\\|"))
end

local function scope(out, name)
  local s = schema.scopes[name] or fail("order has %q, which is no scope", name)
  local seen = {}
  out[#out + 1] = ("## %s\n\n%s\n\n| option | type | default | what it is |\n| --- | --- | --- | --- |"):format(name, s.doc)
  for _, option in ipairs(s.options) do
    if seen[option[1]] then fail("%s.%s is there twice", name, option[1]) end
    if type(option[3]) ~= "string" then fail("%s.%s has no doc", name, option[1]) end
    seen[option[1]] = true
    out[#out + 1] = ("| `%s` | %s | %s | %s%s |"):format(option[1], cell(type_of(option)), cell(default_of(option)),
      cell(option[3]), option.restart and " (restart)" or "")
  end
  out[#out + 1] = ""
end

local out = {
  "# Configuration\n",
  "Made from schema/config.lua. The file is Lua in a sandbox; `postern check --config FILE` says what is wrong with one. "
    .. "An option marked (restart) takes effect when the server is started anew; all others with a reload (SIGHUP).\n",
  "## words\n\n| word | as in | what it is |\n| --- | --- | --- |",
}
for _, word in ipairs(schema.words) do
  out[#out + 1] = ("| `%s` | `%s` | %s |"):format(word[1], cell(word[2]), cell(word[3]))
end
out[#out + 1] = ""
local ordered = {}
for _, name in ipairs(schema.order) do
  ordered[name] = true
  scope(out, name)
end
for name in pairs(schema.scopes) do
  if not ordered[name] then fail("scope %s is not in order", name) end
end
local f = assert(io.open(out_path, "wb"))
assert(f:write(table.concat(out, "\n")))
assert(f:close())
