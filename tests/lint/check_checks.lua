-- tests/lint/check_checks.lua - the checks find what they are for: in a small tree with planted mistakes each says so, and in the
-- same tree without them none does.
--
-- usage: luajit check_checks.lua ROOT

package.path = arg[0]:gsub("[^/]+$", "") .. "?.lua;" .. package.path
local lint = require "lint"
local root = lint.root()
local scratch = lint.output("mktemp -d")[1]

local function write(path, text)
  os.execute("mkdir -p " .. lint.quoted((scratch .. "/" .. path):match("^(.*)/")))
  local f = assert(io.open(scratch .. "/" .. path, "wb"))
  f:write(text)
  f:close()
end

local HEADER = "/* smtp/%s.h - for a test.\n *\n * Tests: tests/unit/smtp/test_a.c\n */\n#pragma once\n"

local function plant_clean_tree()
  os.execute(("rm -rf %s && mkdir -p %s/tests && cp -r %s/tests/lint %s/tests/"):format(
    scratch, scratch, lint.quoted(root), scratch))
  os.execute(("mkdir -p %s/schema && cp %s/schema/*.lua %s/schema/"):format(scratch, lint.quoted(root), scratch))
  write("server/LAYERS", "0 base -\n1 smtp -\n1 io uv.h\n9 main -\n")
  write("tests/unit/smtp/test_a.c", "")
  write("server/base/x.h", "/* base/x.h - for a test.\n *\n * Tests: tests/unit/smtp/test_a.c\n */\n#pragma once\n")
  write("server/smtp/a.h", HEADER:format("a"))
  write("server/smtp/a.c", [[
#include "smtp/a.h"

#include <string.h>

#include "base/x.h"
#include "gen/version.h"

/* strcpy(in, a_comment); and "TODO #12" is one that can be found again. */
static const char *text = "sprintf(a, \"in a string\") /* no comment */ // none";

int a(struct x *x)
{
	return x->gets(x) + x->ops.system(text) + my_printf("a");
}
]])
end

-- { what is written, where, the check, what it must say }
local PLANTS = {
  { "server/smtp/b.c", '#include "main/main.h"\n', "layers", "b.c:1: smtp %(layer 1%) may not include main/main.h" },
  { "server/smtp/b.c", '#include "io/loop.h"\n', "layers", "may not include io/loop.h %(layer 1%)" },
  { "server/smtp/b.c", '\n#include "a.h"\n', "layers", "b.c:2: write the directory" },
  { "server/smtp/b.c", "#include <uv.h>\n", "layers", "<uv.h> belongs to another directory" },
  { "server/smtp/b.c", "#include <openssl/ssl.h>\n", "layers", "no directory of server/LAYERS has this library" },
  { "server/io/b.c", '#include "base/x_priv.h"\n', "layers", "private to base" },
  { "server/odd/b.c", "\n", "layers", "its directory is not in server/LAYERS" },
  { "server/smtp/b.c", "void b(void)\n{\n\tf(strcpy(a, b));\n}\n", "banned", "b.c:3: strcpy%(%) is banned" },
  { "server/smtp/b.c", "int b = atoi (s);\n", "banned", "atoi%(%) is banned" },
  { "server/smtp/b.c", "/* '\"' */ char c = '\"'; int d = rand();\n", "banned", "rand%(%) is banned" },
  { "server/smtp/b.c", "/* TODO: later */\n", "banned", "TODO without" },
  { "lua/lib/b.lua", "-- FIXME\n", "banned", "FIXME without" },
  { "server/smtp/b.c", "int a;\n// so\n", "banned", "b.c:2: comments are written" },
  { "server/smtp/b.c", ("\n"):rep(601), "size", "601 lines; at most 600" },
  { "server/smtp/b.c", ("\n"):rep(401), "size", "warning: 401 lines" },
  { "server/smtp/b.c", "int f(void)\n{\n" .. ("\t;\n"):rep(99) .. "}\n", "size", "b.c:2: f has 101 lines" },
  { "lua/lib/b.lua", "local function f()\n" .. ("  x()\n"):rep(99) .. "end\n", "size", "b.lua:1: f has 101 lines" },
  { "server/smtp/b.c", "\n" .. ("\t"):rep(16) .. "12345\n", "size", "b.c:2: 133 columns" },
  { "server/smtp/b.h", "#pragma once\n", "headers", "begins with a comment" },
  { "server/smtp/b.h", HEADER:format("c"), "headers", 'begins with "/%* smtp/b.h %- "' },
  { "server/smtp/b.h", (HEADER:format("b"):gsub("test_a", "test_b")), "headers", "test_b.c does not exist" },
  { "server/smtp/b.h", (HEADER:format("b"):gsub("Tests:", "")), "headers", "does not say Tests:" },
  { "server/smtp/b.h", (HEADER:format("b"):gsub("#pragma once", "")), "headers", "#pragma once is missing" },
  { "server/smtp/b.c", "void f(void)\n{\n\tlog_cstr(&r, LOG_F_CODE, s);\n}\n", "log", "b.c:3: LOG_F_CODE is of type int" },
  { "server/smtp/b.c", "\tif (log_begin(&r, x(), LOG_EV_BUG)) {\n\t\tlog_cstr(&r, LOG_F_HELO, g(s));\n", "log",
    "b.c:2: LOG_EV_BUG has no LOG_F_HELO" },
  { "server/smtp/b.c", "\tlog_text(lg, LOG_EV_BUG, s);\n", "log", "LOG_EV_BUG has no text" },
  { "server/smtp/b.c", "\tlog_begin(&r, lg, LOG_EV_NONSENSE);\n", "log", "LOG_EV_NONSENSE is not" },
  { "contrib/b", "#!/bin/sh\nif true; then\n", "shell", "contrib/b:1: " },
}

local function output_of(check)
  return table.concat(lint.output(("luajit %s/tests/lint/check_%s.lua %s; echo status $?"):format(scratch, check, scratch)), "\n")
end

plant_clean_tree()
for _, check in ipairs { "layers", "banned", "size", "headers", "log", "shell" } do
  local out = output_of(check)
  if not out:match("status 0$") then lint.fail("tests/lint/check_" .. check .. ".lua", 1, "complains about nothing:\n%s", out) end
end
for _, plant in ipairs(PLANTS) do
  local path, text, check, want = unpack(plant)
  plant_clean_tree()
  write(path, text)
  local out = output_of(check)
  local wants_failure = not want:match("^warning")
  if not out:match(want) or (wants_failure and not out:match("status 1$")) then
    lint.fail("tests/lint/check_" .. check .. ".lua", 1, "expected %q; it said:\n%s", want, out)
  end
end
os.execute("rm -rf " .. lint.quoted(scratch))
lint.finish(#PLANTS .. " planted mistakes")
