-- tests/lint/check_banned.lua - functions that have no place in server/, and notes that nobody will find again.
--
-- usage: luajit check_banned.lua ROOT

package.path = arg[0]:gsub("[^/]+$", "") .. "?.lua;" .. package.path
local lint = require "lint"
local root = lint.root()

local BANNED = {
  strcpy = "has no limit; use buf or memcpy", strncpy = "does not end what it cuts; use buf or memcpy",
  stpcpy = "has no limit; use buf", strcat = "has no limit; use buf", strncat = "counts wrongly; use buf",
  sprintf = "has no limit; use buf_addf or snprintf", vsprintf = "has no limit; use buf_vaddf",
  asprintf = "use buf_addf", vasprintf = "use buf_vaddf", gets = "has no limit", scanf = "use span", sscanf = "use span",
  fscanf = "use span", strtok = "has state; use span_cut", strtok_r = "use span_cut",
  atoi = "has no errors; use span_to_u64", atol = "has no errors; use span_to_u64", atoll = "has no errors; use span_to_u64",
  atof = "has no errors", malloc = "use mem_alloc_raw, arena or buf", calloc = "use mem_alloc or mem_alloc_array",
  realloc = "use mem_realloc", strdup = "use mem_strdup", strndup = "use mem_strndup", alloca = "the stack has no limit",
  assert = "use require or verify (base/check.h)", abort = "use require", system = "no shells", popen = "no shells",
  tmpnam = "is a race", mktemp = "is a race", gmtime = "has state; use gmtime_r", localtime = "has state; use localtime_r",
  ctime = "has state", asctime = "has state", rand = "use random_below", srand = "use random_below", random = "use random_below",
  inet_ntoa = "use ip_format", inet_addr = "use ip_parse", gethostbyname = "blocks; use dns", getaddrinfo = "blocks; use dns",
  select = "breaks over 1024 descriptors", sleep = "blocks the loop", usleep = "blocks the loop", setlocale = "no locale",
  bzero = "use memset, or mem_wipe for secrets", bcopy = "use memmove", index = "use strchr",
  vfork = "no", putenv = "is not safe with threads", setenv = "is not safe with threads",
  printf = "a server logs", puts = "a server logs", putchar = "a server logs", perror = "a server logs",
}

-- { ["dir/file.c"] = { name = "reason" } }; "dir/" stands for all its files.
local ALLOWED = {
  ["base/mem.c"] = { malloc = "this is where", calloc = "this is where", realloc = "this is where" },
  ["base/check.c"] = { abort = "this is where" },
  ["main/watchdog.c"] = { abort = "ends a process whose loop stands still" },
  ["main/"] = { printf = "talks to a terminal", puts = "talks to a terminal", putchar = "talks to a terminal",
    perror = "talks to a terminal" },
}

local function is_allowed(file, name)
  local path = file:gsub("^server/", "")
  local by_file, by_dir = ALLOWED[path], ALLOWED[path:match("^[^/]+/") or ""]
  return (by_file and by_file[name]) or (by_dir and by_dir[name])
end

-- Words that promise to come back; with the number of an issue they can be found again.
local function check_notes(file, no, text)
  for _, word in ipairs { "TODO", "FIXME", "XXX", "HACK" } do
    if text:match("%f[%w]" .. word .. "%f[%W]") and not text:match("%f[%w]" .. word .. "[ (:]+#%d+") then
      lint.fail(file, no, "%s without the number of an issue", word)
    end
  end
end

local count = 0
for _, file in ipairs(lint.files(root, "server", "c", "h")) do
  count = count + 1
  local code, comments = lint.split_c(lint.read(root, file))
  for no, line in ipairs(lint.lines(code)) do
    for at, name in line:gmatch("()%f[%w_]([%a_][%w_]*)%s*%f[(]") do
      local member = line:sub(1, at - 1):match("[.>]%s*$") -- x.gets() and x->gets()
      if BANNED[name] and not member and not is_allowed(file, name) then
        lint.fail(file, no, "%s() is banned: %s", name, BANNED[name])
      end
    end
  end
  for no, line in ipairs(lint.lines(comments)) do
    check_notes(file, no, line)
    if line:match("^%s*//") then lint.fail(file, no, "comments are written /* */") end
  end
end
for _, dir in ipairs { "lua", "schema", "tests", "contrib", "docker" } do
  for _, file in ipairs(lint.files(root, dir, "c", "h", "lua", "sh", "cmake", "md", "txt")) do
    if not file:match("^tests/lint/") and not file:match("^tests/fuzz/corpus/") then
      count = count + 1
      for no, line in ipairs(lint.lines(lint.read(root, file))) do check_notes(file, no, line) end
    end
  end
end
lint.finish(count .. " files")
