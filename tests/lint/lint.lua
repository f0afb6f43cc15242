-- tests/lint/lint.lua - what the checks share: finding files, reading C as a reader does, and saying what is wrong.
--
-- A check is run as `luajit tests/lint/check_x.lua ROOT [more]`; it prints "file:line: what is wrong and what to do", and exits 1
-- if there was anything. A warning does not fail. Exit 77 is "skipped": a tool is missing.

local lint = { problems = 0, warnings = 0 }

function lint.root()
  local root = arg[1]
  if not root then
    io.stderr:write(("usage: luajit %s ROOT\n"):format(arg[0]))
    os.exit(2)
  end
  return root
end

function lint.fail(file, line, ...)
  lint.problems = lint.problems + 1
  print(("%s:%d: %s"):format(file, line, string.format(...)))
end

function lint.warn(file, line, ...)
  lint.warnings = lint.warnings + 1
  print(("%s:%d: warning: %s"):format(file, line, string.format(...)))
end

function lint.skip(...)
  print("skipped: " .. string.format(...))
  os.exit(77)
end

function lint.finish(checked)
  print(("%s checked, %d problems, %d warnings"):format(checked, lint.problems, lint.warnings))
  os.exit(lint.problems == 0 and 0 or 1)
end

local function quoted(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end
lint.quoted = quoted

-- Lines that a command prints; its exit status is not asked for.
function lint.output(command)
  local lines = {}
  local p = assert(io.popen(command))
  for line in p:lines() do lines[#lines + 1] = line end
  p:close()
  return lines
end

function lint.has_tool(name)
  return #lint.output("command -v " .. quoted(name) .. " 2>/dev/null") > 0
end

function lint.exists(path)
  local f = io.open(path, "rb")
  if f then f:close() end
  return f ~= nil
end

-- Files below ROOT/dir with one of the endings, as paths from ROOT, sorted. A directory that is not there yet has none.
function lint.files(root, dir, ...)
  local found = {}
  local names = {}
  for _, ending in ipairs { ... } do names[#names + 1] = "-name " .. quoted("*." .. ending) end
  local command = ("cd %s && find %s -type f \\( %s \\) 2>/dev/null | LC_ALL=C sort"):format(
    quoted(root), quoted(dir), table.concat(names, " -o "))
  for _, path in ipairs(lint.output(command)) do found[#found + 1] = path end
  return found
end

function lint.read(root, path)
  local f = assert(io.open(root .. "/" .. path, "rb"))
  local text = f:read("*a")
  f:close()
  return text
end

function lint.lines(text)
  local lines = {}
  for line in (text .. (text:sub(-1) == "\n" and "" or "\n")):gmatch("(.-)\n") do lines[#lines + 1] = line end
  return lines
end

-- C text as two texts of the same lines: the code with comments and the insides of strings left blank, and the comments alone.
function lint.split_c(text)
  local code, comments = {}, {}
  local at, n = 1, #text
  local function put(to, other, piece)
    to[#to + 1] = piece
    other[#other + 1] = piece:gsub("[^\n]", " ")
  end
  while at <= n do
    local two = text:sub(at, at + 1)
    local c = two:sub(1, 1)
    if two == "/*" then
      local _, stop = text:find("*/", at + 2, true)
      stop = stop or n
      put(comments, code, text:sub(at, stop))
      at = stop + 1
    elseif two == "//" then
      local stop = (text:find("\n", at, true) or n + 1) - 1
      put(comments, code, text:sub(at, stop))
      at = stop + 1
    elseif c == '"' or c == "'" then
      local stop = at + 1
      while stop <= n and text:sub(stop, stop) ~= c do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
      put(code, comments, c .. text:sub(at + 1, stop - 1):gsub("[^\n]", " ") .. c)
      at = stop + 1
    else
      local stop = (text:find("[/\"']", at + 1) or n + 1) - 1
      put(code, comments, text:sub(at, stop))
      at = stop + 1
    end
  end
  return table.concat(code), table.concat(comments)
end

return lint
