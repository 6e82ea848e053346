// SPDX-License-Identifier: Apache-2.0
// The ceremony of a passkey (WebAuthn). A form carries the options in `data-passkey`; what the authenticator answers goes
// into its field `credential`, and the form is sent like any other. Nothing is fetched, nothing is kept.

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const named = (list) => (list || []).map((known) => ({ ...known, id: bytes(known.id) }));

async function create(options) {
  const user = { ...options.user, id: bytes(options.user.id) };
  const made = await navigator.credentials.create({
    publicKey: { ...options, user, challenge: bytes(options.challenge), excludeCredentials: named(options.excludeCredentials) },
  });
  const { response } = made;
  return answer(made, {
    attestationObject: text(response.attestationObject),
    clientDataJSON: text(response.clientDataJSON),
    transports: response.getTransports ? response.getTransports() : [],
  });
}

async function get(options) {
  const proved = await navigator.credentials.get({
    publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: named(options.allowCredentials) },
  });
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

function say(form, words) {
  const place = form.querySelector("[data-passkey-says]");
  place.textContent = words;
  place.hidden = !words;
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) {
    form.querySelector("[data-passkey-missing]")?.removeAttribute("hidden");
    form.querySelector("button")?.setAttribute("disabled", "");
    continue;
  }
  const options = JSON.parse(form.dataset.passkey);
  form.addEventListener("submit", async (event) => {
    if (form.elements.credential.value) return; // the authenticator has answered: send it
    event.preventDefault();
    say(form, "");
    try {
      const made = await (options.user ? create(options) : get(options));
      form.elements.credential.value = JSON.stringify(made);
      form.submit();
    } catch (error) {
      say(
        form,
        error.name === "InvalidStateError"
          ? "This device already has a passkey for your account."
          : "The passkey was not used. You can try again, or go another way.",
      );
    }
  });
}
