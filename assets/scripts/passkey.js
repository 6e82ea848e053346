// SPDX-License-Identifier: Apache-2.0
// The ceremony of a passkey (WebAuthn). A form names in `data-passkey` the address that says what the authenticator is asked;
// what it answers goes into the form's field `credential`, and the form is sent like any other.

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const named = (list) => (list || []).map((known) => ({ ...known, id: bytes(known.id) }));

async function asked(form) {
  const body = new URLSearchParams({ csrf: form.dataset.passkeyToken, next: form.elements.next.value });
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

async function get(options) {
  const allowCredentials = named(options.allowCredentials);
  const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials };
  const proved = await navigator.credentials.get({ publicKey });
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
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    say("");
    try {
      const options = await asked(form);
      form.elements.credential.value = JSON.stringify(await (options.user ? create(options) : get(options)));
      form.submit();
    } catch (error) {
      say(WORDS[error.name] || error.message || "That did not work. Load this page again.");
    }
  });
}
