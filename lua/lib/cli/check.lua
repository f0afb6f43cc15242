-- cli/check.lua - postern check: is a configuration good?

local args = require "cli.args"

local function check(opt, rest)
  if not opt.config then args.usage("which file? --config FILE") end
  if #rest > 0 then args.usage("check takes no further words: %q", rest[1]) end
  local out, err = host.check((opt.json and "json" or "text") .. "\n" .. opt.config)
  if not out then args.fail("%s", err) end
  local status, lines = out:match("^(%d+)\n(.*)$")
  io.write(lines)
  return tonumber(status)
end

return {
  { name = "check", doc = "Validates a configuration, its policies and what it refers to; every problem with file and line.",
    options = { { "config", "FILE", "the configuration" } }, run = check },
}
