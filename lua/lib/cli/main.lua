-- cli/main.lua - the command line: finds the command, runs it, turns what went wrong into words and a status.
--
-- Status: 0 done, 1 refused or failed, 2 not understood. Each module returns a list of commands; see cli/args.lua.

local args = require "cli.args"

local OF_C = {
  { name = "serve", args = "--config FILE", doc = "Runs the server in the foreground; SIGHUP reloads, SIGTERM drains and ends." },
  { name = "sink", args = "--listen ADDRESS:PORT",
    doc = "Accepts and counts, or stores, mail: for trying things out and for tests." },
}

local MODULES = { "cli.check", "cli.simulate", "cli.queue", "cli.server", "cli.bans", "cli.tls_report", "cli.policy",
  "cli.upstream", "cli.user", "cli.dkim", "cli.cert" }

local function load_commands()
  local list, by_name = {}, {}
  for _, c in ipairs(OF_C) do list[#list + 1] = c end
  for _, module in ipairs(MODULES) do
    for _, c in ipairs(require(module)) do list[#list + 1] = c end
  end
  for _, c in ipairs(list) do by_name[c.name] = c end
  return list, by_name
end

-- All commands, or those of a group ("queue").
local function overview(list, group)
  local lines = { ("usage: postern %s [options]"):format(group and (group .. " COMMAND") or "COMMAND"), "" }
  for _, c in ipairs(list) do
    if not group or c.name:match("^(%S+) ") == group then
      lines[#lines + 1] = ("  %-18s %s"):format(c.name, c.doc)
    end
  end
  if not group then
    lines[#lines + 1] = ("  %-18s %s"):format("help [COMMAND]", "This, or what a command does and takes.")
    lines[#lines + 1] = ("  %-18s %s"):format("--version", "Versions of the program and of what it is linked with.")
    lines[#lines + 1] = "\nAll take --json for programs, and --control SOCKET for another server than the usual one."
  end
  return table.concat(lines, "\n") .. "\n"
end

local function version(as_json)
  local out, err = host.version("")
  if not out then args.fail("%s", err) end
  local v = host.json_decode(out)
  v.luajit = jit.version:match("[%d.]+%S*") or jit.version
  if as_json then
    io.write(host.json_encode(v), "\n")
    return 0
  end
  io.write("postern ", v.postern, "\n")
  for _, name in ipairs { "luajit", "libuv", "c-ares", "libcurl", "libmicrohttpd" } do io.write("  ", name, " ", v[name], "\n") end
  return 0
end

local function is_group(list, word)
  for _, c in ipairs(list) do
    if c.name:match("^(%S+) ") == word then return true end
  end
  return false
end

-- Which command the words begin with, and how many of them it has.
local function find(list, by_name, words)
  if words[2] and by_name[words[1] .. " " .. words[2]] then return by_name[words[1] .. " " .. words[2]], 2 end
  if by_name[words[1]] then return by_name[words[1]], 1 end
  local group = is_group(list, words[1])
  local said = group and words[2] and (words[1] .. " " .. words[2]) or words[1]
  if group and (not words[2] or words[2]:sub(1, 1) == "-") then return nil end
  local names = {}
  for _, c in ipairs(list) do
    names[#names + 1] = not group and c.name:match("^(%S+) ") or c.name
  end
  local meant = args.nearest(said, names)
  args.usage("no command %q; %spostern help has them all", said, meant and ("did you mean %q? "):format(meant) or "")
end

local function help(list, by_name, words)
  if not words[1] then
    io.write(overview(list))
    return 0
  end
  local command = find(list, by_name, words)
  io.write(command and args.help(command) or overview(list, words[1])) -- a group has no command of its own
  return 0
end

local function run(words)
  local list, by_name = load_commands()
  local first = words[1]
  if not first then
    io.stderr:write(overview(list))
    return 2
  end
  if first == "help" or first == "--help" or first == "-h" then
    table.remove(words, 1)
    return help(list, by_name, words)
  end
  if first == "--version" or first == "version" then return version(words[2] == "--json") end
  local command, n = find(list, by_name, words)
  if not command then
    local asked = words[2] == "--help" or words[2] == "-h"
    local to = asked and io.stdout or io.stderr
    to:write(overview(list, first))
    return asked and 0 or 2
  end
  local opt, rest = args.parse(command, words, n + 1)
  if opt.help then
    io.write(args.help(command))
    return 0
  end
  return command.run(opt, rest) or 0
end

local words = {}
for i = 1, #arg do words[i] = arg[i] end
local ok, status = xpcall(function() return run(words) end, function(e)
  return args.is_failure(e) and e or debug.traceback(tostring(e), 2)
end)
if ok then
  local flushed, err = io.stdout:flush()
  if flushed then return status end
  io.stderr:write("postern: standard output: ", err, "\n")
  return 1
end
io.stdout:flush()
io.stderr:write("postern: ", tostring(status), "\n")
return args.is_failure(status) and status.status or 1
