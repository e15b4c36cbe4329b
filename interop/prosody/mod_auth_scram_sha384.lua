-- SCRAM-SHA-384 (RFC 5802 with another hash) for Prosody, which has SHA-1 and SHA-256 only.
-- Test use: no authorization identity, and no PLAIN beside it. With channel binding where Prosody
-- has what the client can bind to, which 0.12 has not.

local base64 = require "util.encodings".base64;
local saslprep = require "util.encodings".stringprep.saslprep;
local nodeprep = require "util.encodings".stringprep.nodeprep;
local sha384 = require "util.hashes".sha384;
local equal = require "util.hashes".equals;
local hex = require "util.hex";
local xor = require "util.strbitop".sxor;
local sasl = require "util.sasl";
local uuid = require "util.uuid".generate;

local accounts = module:open_store("accounts");
local mechanism = "SCRAM-SHA-384";
local plus = mechanism .. "-PLUS";
local bindings = { "tls-exporter", "tls-server-end-point" };
local iterations = 10000;

-- HMAC (RFC 2104) as a function of the message. The padded keys are made once for each key, which
-- matters for thousands of iterations.
local function hmac_with(key)
	local block = 128;
	if #key > block then key = sha384(key); end
	key = key .. ("\0"):rep(block - #key);
	local inner, outer = xor(key, ("\x36"):rep(block)), xor(key, ("\x5c"):rep(block));
	return function (message) return sha384(outer .. sha384(inner .. message)); end
end

-- Hi() of RFC 5802, section 2.2: PBKDF2 for one block.
local function derive(password, salt, count)
	local hmac = hmac_with(password);
	local round = hmac(salt .. "\0\0\0\1");
	local result = round;
	for _ = 2, count do
		round = hmac(round);
		result = xor(result, round);
	end
	return result;
end

-- RFC 5802, section 5.1: in a name, `,` and `=` travel as =2C and =3D; any other `=` is an error.
local function decode_name(name)
	local broken = false;
	name = name:gsub("=(.?.?)", function (code)
		local character = ({ ["2C"] = ",", ["3D"] = "=" })[code];
		broken = broken or not character;
		return character;
	end);
	name = not broken and saslprep(name);
	return name and nodeprep(name);
end

-- What the client says of channel binding (RFC 5802, section 6): the header, the rest, and the data
-- that goes with the header; or nothing where the client may not say that.
local function read_header(self, message)
	local header, flag, bare = message:match("^(([^,]+),,)(.*)$");
	if self.selected == plus then
		local kind = flag and flag:match("^p=(.+)$");
		local data = kind and (self.profile.cb or {})[kind];
		if data then return header, bare, data(self); end
	elseif flag == "n" or flag == "y" and not self:mechanisms()[plus] then
		return header, bare, "";
	end
end

local function first(self, message)
	local header, bare, data = read_header(self, message);
	if not header then return "failure", "malformed-request", "No such binding, or an authzid."; end
	local encoded_name, nonce = bare:match("^n=([^,]+),r=([^,]+)");
	local name = encoded_name and decode_name(encoded_name);
	if not name then return "failure", "malformed-request"; end
	local account = accounts:get(name);
	if not (account and account.stored_key) then return "failure", "not-authorized"; end
	nonce = nonce .. uuid();
	local reply = ("r=%s,s=%s,i=%d"):format(nonce, base64.encode(account.salt), account.iteration_count);
	self.username = name;
	self.state = { bound = header .. data, nonce = nonce, said = bare .. "," .. reply, account = account };
	return "challenge", reply;
end

local function final(self, message)
	local state = self.state;
	local without_proof, binding, nonce, proof = message:match("^(c=([^,]*),r=([^,]*)),p=([^,]*)$");
	proof = proof and base64.decode(proof);
	if not proof or #proof ~= 48 then return "failure", "malformed-request"; end
	if base64.decode(binding) ~= state.bound or nonce ~= state.nonce then
		return "failure", "malformed-request";
	end
	local said = state.said .. "," .. without_proof;
	local stored_key = hex.decode(state.account.stored_key);
	local client_key = xor(hmac_with(stored_key)(said), proof);
	if not equal(sha384(client_key), stored_key) then return "failure", "not-authorized"; end
	return "success", "v=" .. base64.encode(hmac_with(hex.decode(state.account.server_key))(said));
end

local function step(self, message)
	if not message or message == "" then return "failure", "malformed-request"; end
	return (self.state and final or first)(self, message);
end

sasl.registerMechanism(mechanism, { "scram_sha384" }, step);
sasl.registerMechanism(plus, { "scram_sha384" }, step, bindings);

local provider = {};

function provider.user_exists(name) return accounts:get(name) ~= nil; end
function provider.users() return accounts:users(); end
function provider.delete_user(name) return accounts:set(name, nil); end

function provider.create_user(name, password)
	password = password and saslprep(password);
	if not password then return nil, "A password is needed, one that SASLprep takes."; end
	local salt = uuid();
	local salted = hmac_with(derive(password, salt, iterations));
	return accounts:set(name, {
		salt = salt,
		iteration_count = iterations,
		stored_key = hex.encode(sha384(salted("Client Key"))),
		server_key = hex.encode(salted("Server Key")),
	});
end

provider.set_password = provider.create_user;

function provider.test_password()
	return nil, "Only " .. mechanism .. " works here.";
end

function provider.get_sasl_handler()
	return sasl.new(module.host, { scram_sha384 = true });
end

module:provides("auth", provider);
