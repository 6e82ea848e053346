// SPDX-License-Identifier: Apache-2.0
// openid-client (npm): a pushed request, code, id_token, userinfo, refresh, introspection and revocation as a confidential
// application, with bearer tokens and with DPoP; then a backend service. The browser's part is as in oauth4webapi.mjs.
import * as openid from "openid-client";
import { createInterface } from "node:readline";

const { issuer, fhir, portal, backend } = JSON.parse(process.argv[2]);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const browse = async (address) => {
  process.stdout.write(`${address}\n`);
  return new URL((await lines.next()).value);
};
const seen = {};
const config = await openid.discovery(
  new URL(issuer),
  portal.id,
  undefined,
  openid.ClientSecretBasic(portal.secret),
);

const launch = async (options) => {
  const pkceCodeVerifier = openid.randomPKCECodeVerifier();
  const expectedState = openid.randomState();
  const expectedNonce = openid.randomNonce();
  const parameters = {
    redirect_uri: portal.callback,
    scope: "openid fhirUser launch/patient patient/Observation.rs offline_access",
    resource: fhir,
    state: expectedState,
    nonce: expectedNonce,
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
  };
  const address = await openid.buildAuthorizationUrlWithPAR(config, parameters, options);
  seen.pushed = address.searchParams.has("request_uri") && !address.searchParams.has("scope");
  const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true };
  return openid.authorizationCodeGrant(config, await browse(address), checks, undefined, options);
};

const tokens = await launch();
const { sub } = tokens.claims();
seen.type = tokens.token_type;
seen.patient = tokens.patient;
seen.userinfo = (await openid.fetchUserInfo(config, tokens.access_token, sub)).fhirUser;
const read = async (token, options) =>
  openid.fetchProtectedResource(config, token, new URL(`${fhir}/Observation?patient=ada&_summary=count`), "GET", undefined, undefined, options);
seen.found = (await (await read(tokens.access_token)).json()).total;
const refreshed = await openid.refreshTokenGrant(config, tokens.refresh_token);
seen.rotated = refreshed.refresh_token !== tokens.refresh_token;
const known = await openid.tokenIntrospection(config, refreshed.access_token);
seen.introspection = [known.active, known.client_id, known.patient];
await openid.tokenRevocation(config, refreshed.refresh_token);
seen.afterwards = (await openid.tokenIntrospection(config, refreshed.access_token)).active;

const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair("ES256"));
const bound = await launch({ DPoP });
seen.boundType = bound.token_type;
seen.boundFound = (await (await read(bound.access_token, { DPoP })).json()).total;
seen.boundRefreshed = (await openid.refreshTokenGrant(config, bound.refresh_token, undefined, { DPoP })).token_type;
seen.stolen = (await read(bound.access_token).catch((error) => error)).status;

const key = await crypto.subtle.importKey("jwk", backend.key, { name: "ECDSA", namedCurve: "P-384" }, false, ["sign"]);
const service = await openid.discovery(
  new URL(issuer),
  backend.id,
  undefined,
  openid.PrivateKeyJwt({ key, kid: backend.key.kid }),
);
const own = await openid.clientCredentialsGrant(service, { scope: "system/Observation.rs" });
seen.system = own.scope;

process.stdout.write(`${JSON.stringify(seen)}\n`);
process.exit(0);
