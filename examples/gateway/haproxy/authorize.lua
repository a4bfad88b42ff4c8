-- Asks the authorizer whether a request may go on. HAProxy goes on after an action that failed, so this one proves that
-- it was allowed: only then it sets txn.ztfm_allowed, and haproxy.cfg turns everything else away.
--
--   setenv ZTFM_AUTHORIZER unix@/run/ztfm/authorize.sock
--   lua-load-per-thread authorize.lua

local authorizer = assert(os.getenv("ZTFM_AUTHORIZER"), "ZTFM_AUTHORIZER says where the authorizer listens")
local url = "http://127.0.0.1/v1/gateway/authorize"
local told = {
    "ztfm-subject", "ztfm-action", "ztfm-resource", "ztfm-decision",
    "ztfm-expires", "ztfm-detail", "ztfm-max-output-tokens", "ztfm-max-bytes",
}
local removed = {
    "authorization", "dpop", "proxy-authorization", "client-cert", "client-cert-verified",
    -- What was checked is what is served, whatever a client would rather have.
    "x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url",
}

-- All values of a header, from a table that counts from 0.
local function values(headers, name)
    local found = {}
    local sent = headers[name]
    if sent ~= nil then
        local index = 0
        while sent[index] ~= nil do
            found[#found + 1] = sent[index]
            index = index + 1
        end
    end
    return found
end

local function certificate(txn)
    if txn.f:ssl_c_used() ~= 1 or txn.f:ssl_c_verify() ~= 0 then
        return nil
    end
    return ":" .. txn.c:base64(txn.f:ssl_c_der()) .. ":"
end

local function question(txn)
    local headers = txn.http:req_get_headers()
    local lengths = values(headers, "content-length")
    local codings = values(headers, "transfer-encoding")
    return {
        ["authorization"] = values(headers, "authorization"),
        ["dpop"] = values(headers, "dpop"),
        ["x-original-method"] = { txn.f:method() },
        ["x-original-uri"] = { txn.f:pathq() or "" },
        ["x-original-body"] = { table.concat(lengths, ",") .. "/" .. table.concat(codings, ",") },
        ["client-cert"] = { certificate(txn) },
    }
end

local function refuse(txn, answer)
    local headers = { ["cache-control"] = { "no-store" } }
    for _, name in ipairs({ "content-type", "www-authenticate", "retry-after", "allow" }) do
        local sent = values(answer.headers, name)
        if #sent > 0 then
            headers[name] = sent
        end
    end
    txn:done(txn:reply{ status = answer.status, headers = headers, body = answer.body })
end

core.register_action("ztfm_authorize", { "http-req" }, function(txn)
    -- What only the authorizer says, whoever said it.
    for _, name in ipairs(told) do
        txn.http:req_del_header(name)
    end
    local answer = core.httpclient():get{ url = url, dst = authorizer, headers = question(txn), timeout = 500 }
    for _, name in ipairs(removed) do
        txn.http:req_del_header(name)
    end
    if answer == nil or answer.headers == nil then
        return
    end
    if answer.status ~= 200 then
        -- HAProxy itself answers 503 where it reaches nobody, and says that in HTML.
        if values(answer.headers, "content-type")[1] == "application/problem+json" then
            refuse(txn, answer)
        end
        return
    end
    for _, name in ipairs(told) do
        local sent = values(answer.headers, name)
        if #sent ~= 1 then
            return
        end
        if sent[1] ~= "" then
            txn.http:req_set_header(name, sent[1])
        end
    end
    txn:set_var("txn.ztfm_allowed", true)
end, 0)
