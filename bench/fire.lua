-- SPDX-License-Identifier: Apache-2.0
-- wrk script: sends the requests of a file again and again, in random order.
-- usage: wrk ... URL -- REQUESTS TOKEN; a line of the file is METHOD<tab>PATH<tab>BODY.
local requests = {}
local seeds = 0

function setup(thread)
   seeds = seeds + 1
   thread:set("seed", seeds)
end

function init(args)
   math.randomseed(seed)
   local headers = { ["Authorization"] = "Bearer " .. args[2], ["Host"] = "localhost" }
   for line in io.lines(args[1]) do
      local method, path, body = line:match("^(%u+)\t([^\t]+)\t(.*)$")
      if body == "" then
         body = nil
         headers["Content-Type"] = nil
      else
         headers["Content-Type"] = "application/fhir+json"
      end
      requests[#requests + 1] = wrk.format(method, path, headers, body)
   end
end

function request()
   return requests[math.random(#requests)]
end

function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      '\n@@{"requests":%d,"seconds":%.6f,"bytes":%d,"refused":%d,"broken":%d,"p50":%.1f,"p95":%.1f,"p99":%.1f}\n',
      summary.requests, summary.duration / 1e6, summary.bytes, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout,
      latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
