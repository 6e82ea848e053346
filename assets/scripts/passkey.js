// SPDX-License-Identifier: Apache-2.0
// The ceremony of a passkey (WebAuthn). A form names in `data-passkey` the address that says what the authenticator is asked;
// what it answers goes into the form's field `credential`, and the form is sent like any other.

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const named = (list) => (list || []).map((known) => ({ ...known, id: bytes(known.id) }));

async function asked(form, more = {}) {
  const body = new URLSearchParams({ csrf: form.dataset.passkeyToken, next: form.elements.next.value, ...more });
  const response = await fetch(form.dataset.passkey, { method: "POST", body, redirect: "error" });
  if (!response.ok) throw new Error(response.status === 429 ? "Too many attempts. Please wait a moment." : "");
  return response.json();
}

async function create(options) {
  const user = { ...options.user, id: bytes(options.user.id) };
  const excludeCredentials = named(options.excludeCredentials);
  const publicKey = { ...options, user, challenge: bytes(options.challenge), excludeCredentials };
  const made = await navigator.credentials.create({ publicKey });
  const { response } = made;
  return answer(made, {
    attestationObject: text(response.attestationObject),
    clientDataJSON: text(response.clientDataJSON),
    transports: response.getTransports ? response.getTransports() : [],
  });
}

async function get(options, how = {}) {
  const allowCredentials = named(options.allowCredentials);
  const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials };
  const proved = await navigator.credentials.get({ publicKey, ...how });
  const { response } = proved;
  return answer(proved, {
    authenticatorData: text(response.authenticatorData),
    clientDataJSON: text(response.clientDataJSON),
    signature: text(response.signature),
    userHandle: response.userHandle ? text(response.userHandle) : null,
  });
}

const answer = (credential, response) => ({
  id: credential.id,
  rawId: text(credential.rawId),
  type: credential.type,
  authenticatorAttachment: credential.authenticatorAttachment || undefined,
  clientExtensionResults: {},
  response,
});

const WORDS = {
  InvalidStateError: "This device already has a passkey for your account.",
  NotAllowedError: "The passkey was not used. You can try again, or go another way.",
};

const send = (form, proved) => {
  form.elements.credential.value = JSON.stringify(proved);
  form.submit();
};

const seen = () =>
  new Promise((go) => {
    const look = () => document.visibilityState === "visible" && go();
    document.addEventListener("visibilitychange", look);
    look();
  });

// Passkeys among what the browser proposes for the user name (WebAuthn Level 3, mediation "conditional"). That waits as
// long as the page is open. What is asked lives for some minutes, and is then asked anew once somebody looks at the page.
// Gives a function that ends the waiting, since a browser takes one request at a time, and hands over what was asked.
// Nothing is said when it fails: the button and the password are there.
function autofill(form) {
  let asking = null;
  let stop = null;
  let ended = false;
  const wait = async () => {
    await seen();
    if (ended) return false;
    asking = asked(form, { autofill: "1" });
    const options = await asking;
    if (ended) return false;
    const { signal } = (stop = new AbortController());
    const old = setTimeout(() => stop.abort("old"), options.timeout * 0.8);
    try {
      send(form, await get(options, { mediation: "conditional", signal }));
      return false;
    } catch {
      if (signal.reason === "old") asking = null;
      return signal.reason === "old";
    } finally {
      clearTimeout(old);
    }
  };
  const waiting = async () => {
    if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
    while (await wait());
  };
  waiting().catch(() => {});
  return () => {
    ended = true;
    stop?.abort("pressed");
    const options = asking;
    asking = null;
    return options;
  };
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const says = form.querySelector("[data-passkey-says]");
  const say = (words) => {
    says.textContent = words;
    says.hidden = !words;
  };
  if (!window.PublicKeyCredential) {
    form.querySelector("[data-passkey-missing]").hidden = false;
    form.querySelector("button").disabled = true;
    continue;
  }
  const begun = "passkeyAutofill" in form.dataset ? autofill(form) : () => null;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    say("");
    try {
      const options = (await Promise.resolve(begun()).catch(() => null)) || (await asked(form));
      send(form, await (options.user ? create(options) : get(options)));
    } catch (error) {
      say(WORDS[error.name] || error.message || "That did not work. Load this page again.");
    }
  });
}
