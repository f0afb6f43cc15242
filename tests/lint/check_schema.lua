-- tests/lint/check_schema.lua - what is generated is what schema/ says, and the server uses what schema/ has.
--
-- usage: luajit check_schema.lua ROOT GENERATED VERSION
--
-- Runs the generator again, beside what the build made: the same text, and a second run writes nothing. A table with a mistake is
-- refused. An event or metric that server/ never uses is a warning unless schema/reserved.lua has it with a reason.

package.path = arg[0]:gsub("[^/]+$", "") .. "?.lua;" .. package.path
local lint = require "lint"
local root, generated, version = lint.root(), arg[2], arg[3]

local HEADERS = { "log_events.h", "metrics.h", "hook_ids.h", "version.h" }
local scratch = lint.output("mktemp -d")[1]

-- LuaJIT's os.execute returns the status itself, as Lua 5.1 does, or true and more when built to be like 5.2.
local function run(command)
  local status = os.execute(command)
  return status == 0 or status == true
end

local function generate(schema_dir, out_dir)
  return run(("luajit %s %s %s %s 2>/dev/null"):format(lint.quoted(root .. "/schema/gen/c_headers.lua"), lint.quoted(schema_dir),
    lint.quoted(out_dir), lint.quoted(version)))
end

local function check_same()
  local out = scratch .. "/out"
  os.execute("mkdir " .. out)
  if not generate(root .. "/schema", out) then
    lint.fail("schema/gen/c_headers.lua", 1, "failed; run it to see why")
    return
  end
  for _, header in ipairs(HEADERS) do
    if lint.read(out, header) ~= lint.read(generated, header) then
      lint.fail("schema", 1, "%s in the build is older than its source; build again", header)
    end
  end
  os.execute(("touch %s/marker && sleep 0.05"):format(scratch))
  generate(root .. "/schema", out)
  for _, path in ipairs(lint.output(("find %s -newer %s/marker -type f"):format(out, scratch))) do
    lint.fail("schema/gen/c_headers.lua", 1, "wrote %s again although nothing changed", path:match("[^/]+$"))
  end
end

-- Each mistake is one replacement in a copy of the tables; the generator must refuse it.
local MISTAKES = {
  { "log_events.lua", '"info", "it serves"', '"loud", "it serves"', "an unknown level" },
  { "log_events.lua", '{ "listener_opened"', '{ "server_started"', "an event twice" },
  { "log_events.lua", '{ "actor", "str"', '{ "actor", "float"', "an unknown type" },
  { "log_events.lua", "{id}: removed", "{nonsense}: removed", "a template with an unknown field" },
  { "log_events.lua", '{ "actor", "str"', '{ "level", "str"', "a field of a reserved name" },
  { "metrics.lua", '"commands_total", "counter"', '"commands", "counter"', "a counter without _total" },
  { "metrics.lua", '{ 1024, 4096,', '{ 4096, 1024,', "bounds that do not ascend" },
  { "hooks.lua", 'verdicts = { "accept", "reject", "defer", "hold" }', 'verdicts = { "accept", "shrug" }', "an unknown verdict" },
}

local function check_mistakes()
  for i, mistake in ipairs(MISTAKES) do
    local file, from, to, what = unpack(mistake)
    local dir = ("%s/wrong%d"):format(scratch, i)
    os.execute(("mkdir -p %s/out && cp %s/schema/*.lua %s"):format(dir, lint.quoted(root), dir))
    local text = lint.read(dir, file)
    local first, last = text:find(from, 1, true)
    if not first then
      lint.fail("tests/lint/check_schema.lua", 1, "%s has no %s any more; adapt MISTAKES", file, from)
    else
      local f = assert(io.open(dir .. "/" .. file, "wb"))
      f:write(text:sub(1, first - 1), to, text:sub(last + 1))
      f:close()
      if generate(dir, dir .. "/out") then lint.fail("schema/gen/c_headers.lua", 1, "took %s", what) end
    end
  end
end

local function check_used()
  local reserved = dofile(root .. "/schema/reserved.lua")
  local used = {}
  for _, file in ipairs(lint.files(root, "server", "c", "h")) do
    if not file:match("^server/base/") then
      for name in lint.read(root, file):gmatch("%f[%w_][LM][OE][GT][%w_]+") do used[name] = true end
    end
  end
  local function check(source, prefix, list)
    for _, item in ipairs(list) do
      local name = prefix .. item[1]:upper()
      if used[name] and reserved[name] then
        lint.warn("schema/reserved.lua", 1, "%s is used; take it off the list", name)
      elseif not used[name] and not reserved[name] then
        lint.warn(source, 1, "%s is used nowhere in server/", name)
      end
    end
  end
  check("schema/log_events.lua", "LOG_EV_", dofile(root .. "/schema/log_events.lua").events)
  check("schema/metrics.lua", "METRIC_", dofile(root .. "/schema/metrics.lua"))
end

check_same()
check_mistakes()
check_used()
os.execute("rm -rf " .. lint.quoted(scratch))
lint.finish("schema")
