# Tells what it was started with.
require "json"

run lambda { |_env|
  seen = { pid: Process.pid, parent: Process.ppid, environment: ENV.to_h }
  [200, { "Content-Type" => "application/json" }, [JSON.generate(seen), "\n"]]
}
