-- .luacheckrc - what luacheck expects of our Lua (LuaJIT 2.1). tests/lint/check_luacheck.lua runs it.
std = "luajit"
max_line_length = 132
self = false
ignore = {
  "212/_.*", -- unused arguments that say so
}

-- The command line has the functions of C in a global table (server/main/cli.c).
files["lua/lib/cli"] = { read_globals = { "host" } }

-- Configuration is evaluated in an environment of its own; its words are those of schema/.
files["**/*.conf.lua"] = { std = "none", allow_defined = true, ignore = { "1.." } }

-- Policies see what schema/lua_api.lua lists, and write no global.
local api = dofile("schema/lua_api.lua")
local strings = {}
for _, name in ipairs(api.strings) do strings[name] = {} end
stds.policy = { read_globals = {} }
for _, name in ipairs(api.globals) do
  stds.policy.read_globals[name] = { other_fields = name ~= "string", fields = name == "string" and strings or nil }
end
files["lua/policies/**/*.lua"] = { std = "policy" }
