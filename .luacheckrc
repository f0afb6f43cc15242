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
