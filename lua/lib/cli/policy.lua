-- cli/policy.lua - postern policy test: runs specs of policies, files or all *_spec.lua below a directory.

local args = require "cli.args"
local text = require "cli.text"

local DEFAULT_DIR = "tests/lua"

local function files_of(paths)
  local files = {}
  for _, path in ipairs(#paths > 0 and paths or { DEFAULT_DIR }) do
    local out, err = host.spec_files(path)
    if not out then args.fail("%s", err) end
    for file in out:gmatch("[^\n]+") do files[#files + 1] = file end
  end
  return files
end

local function test(opt, paths)
  local files, results = files_of(paths), {}
  local run, failed = 0, 0
  for _, file in ipairs(files) do
    local out, err = host.spec_run((opt.dir or "") .. "\n" .. file)
    if not out then args.fail("%s: %s", file, err) end
    local n, bad, lines = out:match("^(%d+) (%d+)\n(.*)$")
    run, failed = run + tonumber(n), failed + tonumber(bad)
    results[#results + 1] = { file = file, run = tonumber(n), failed = tonumber(bad), output = lines }
    if not opt.json then io.write("# ", file, "\n", lines) end
  end
  if opt.json then
    io.write(host.json_encode({ run = run, failed = failed, files = results }), "\n")
  else
    io.write(text.plural(run, "test"), " in ", text.plural(#files, "file"), ", ", failed, " failed\n")
  end
  if run == 0 then args.fail("no test was found; specs are called *_spec.lua") end
  return failed == 0 and 0 or 1
end

return {
  { name = "policy test", args = "[FILE|DIR...]",
    doc = "Runs the specs of policies: without words, those below " .. DEFAULT_DIR .. ".",
    options = { { "dir", "DIR", "directory of a configuration, whose policies/ and lib/ are looked into first" } }, run = test },
}
