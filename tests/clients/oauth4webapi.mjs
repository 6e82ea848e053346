// SPDX-License-Identifier: Apache-2.0
// oauth4webapi (npm): code with PKCE and DPoP, refresh, userinfo, introspection, revocation, as a public application; then a
// backend service. Addresses for the browser go out as a line each, what came back comes in as a line.
import * as oauth from "oauth4webapi";
import { createInterface } from "node:readline";

const { issuer, fhir, app, backend } = JSON.parse(process.argv[2]);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const browse = async (address) => {
  process.stdout.write(`${address}\n`);
  return new URL((await lines.next()).value);
};
const seen = {};

const at = new URL(issuer);
const as = await oauth.processDiscoveryResponse(at, await oauth.discoveryRequest(at, { algorithm: "oauth2" }));
seen.openid = (await oauth.processDiscoveryResponse(at, await oauth.discoveryRequest(at))).token_endpoint === as.token_endpoint;

const client = { client_id: app.id };
const auth = oauth.None();
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair("ES256"));
const again = async (call) => {
  try {
    return await call();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    seen.nonces = (seen.nonces || 0) + 1;
    return call();
  }
};

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const nonce = oauth.generateRandomNonce();
const address = new URL(as.authorization_endpoint);
address.search = new URLSearchParams({
  response_type: "code",
  client_id: app.id,
  redirect_uri: app.callback,
  scope: "openid fhirUser launch/patient patient/*.rs offline_access",
  aud: fhir,
  state,
  nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  dpop_jkt: await DPoP.calculateThumbprint(),
});
const callback = await browse(address);
const answer = oauth.validateAuthResponse(as, client, callback, state);

const redeem = async () =>
  oauth.processAuthorizationCodeResponse(
    as,
    client,
    await oauth.authorizationCodeGrantRequest(as, client, auth, answer, app.callback, verifier, { DPoP }),
    { expectedNonce: nonce, requireIdToken: true },
  );
const tokens = await again(redeem);
seen.type = tokens.token_type;
seen.patient = tokens.patient;
const claims = oauth.getValidatedIdTokenClaims(tokens);
seen.fhirUser = claims.fhirUser;

const read = async (token) =>
  oauth.protectedResourceRequest(token, "GET", new URL(`${fhir}/Patient/ada`), undefined, undefined, { DPoP });
const patient = await again(() => read(tokens.access_token));
seen.birthDate = (await patient.json()).birthDate;

const info = await again(async () =>
  oauth.processUserInfoResponse(
    as,
    client,
    claims.sub,
    await oauth.userInfoRequest(as, client, tokens.access_token, { DPoP }),
  ),
);
seen.userinfo = info.fhirUser;

const refreshed = await again(async () =>
  oauth.processRefreshTokenResponse(
    as,
    client,
    await oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token, { DPoP }),
  ),
);
seen.rotated = refreshed.refresh_token !== tokens.refresh_token;
seen.kept = refreshed.patient;

await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, refreshed.refresh_token));
try {
  await again(() => read(refreshed.access_token));
} catch (error) {
  seen.afterwards = error.status;
}

const service = { client_id: backend.id };
const key = await crypto.subtle.importKey("jwk", backend.key, { name: "ECDSA", namedCurve: "P-384" }, false, ["sign"]);
const assertion = oauth.PrivateKeyJwt({ key, kid: backend.key.kid });
const own = await oauth.processClientCredentialsResponse(
  as,
  service,
  await oauth.clientCredentialsGrantRequest(as, service, assertion, { scope: "system/Observation.rs" }),
);
seen.system = [own.scope, own.expires_in <= 300, own.refresh_token === undefined];
const found = await oauth.protectedResourceRequest(own.access_token, "GET", new URL(`${fhir}/Observation?_summary=count`));
seen.count = (await found.json()).total;

process.stdout.write(`${JSON.stringify(seen)}\n`);
process.exit(0);
