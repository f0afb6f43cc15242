-- tests/lint/check_layers.lua - includes go down only, and each foreign library has one door: server/LAYERS.
--
-- usage: luajit check_layers.lua ROOT

package.path = arg[0]:gsub("[^/]+$", "") .. "?.lua;" .. package.path
local lint = require "lint"
local root = lint.root()

-- What a C library on Linux brings; all else in <> is a foreign library and needs a line in LAYERS.
local SYSTEM = {}
for name in ([[assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic
  stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype
  arpa/inet byteswap dirent endian fcntl fnmatch getopt glob grp ifaddrs netdb nmmintrin poll pthread pwd regex sched semaphore
  spawn strings sysexits syslog termios unistd]]):gmatch("%S+") do
  SYSTEM[name .. ".h"] = true
end
local SYSTEM_DIRS = { sys = true, net = true, netinet = true, linux = true, sanitizer = true }

local layer, doors = { gen = 0 }, {}
for _, line in ipairs(lint.lines(lint.read(root, "server/LAYERS"))) do
  local n, dir, external = line:match("^(%d+)%s+(%S+)%s+(.+)$")
  if n then
    layer[dir] = tonumber(n)
    for prefix in external:gmatch("%S+") do
      if prefix ~= "-" then
        doors[prefix] = doors[prefix] or {}
        doors[prefix][dir] = true
      end
    end
  end
end

local function check_own(file, no, dir, header)
  local to = header:match("^([^/]+)/")
  if not to then
    lint.fail(file, no, 'write the directory: "%s/%s"', dir, header)
  elseif not layer[to] then
    lint.fail(file, no, "%s is in no layer", header)
  elseif to ~= dir and to ~= "gen" and layer[to] >= layer[dir] then
    lint.fail(file, no, "%s (layer %d) may not include %s (layer %d)", dir, layer[dir], header, layer[to])
  elseif to == dir or to == "gen" then
    return
  elseif header:match("_priv%.h$") then
    lint.fail(file, no, "%s is private to %s", header, to)
  end
end

local function check_foreign(file, no, dir, header)
  local door
  for prefix, dirs in pairs(doors) do
    if header == prefix or (prefix:sub(-1) == "/" and header:sub(1, #prefix) == prefix) then door = dirs end
  end
  if door then
    if not door[dir] then lint.fail(file, no, "<%s> belongs to another directory", header) end
  elseif not SYSTEM[header] and not SYSTEM_DIRS[header:match("^([^/]+)/") or ""] then
    lint.fail(file, no, "<%s>: no directory of server/LAYERS has this library", header)
  end
end

local files = lint.files(root, "server", "c", "h")
for _, file in ipairs(files) do
  local dir = file:match("^server/([^/]+)/[^/]+$")
  if not dir or not layer[dir] then
    lint.fail(file, 1, "its directory is not in server/LAYERS")
  else
    for no, line in ipairs(lint.lines(lint.read(root, file))) do
      local own = line:match('^%s*#%s*include%s+"([^"]+)"')
      local foreign = line:match("^%s*#%s*include%s+<([^>]+)>")
      if own then check_own(file, no, dir, own) end
      if foreign then check_foreign(file, no, dir, foreign) end
    end
  end
end
lint.finish(#files .. " files")
