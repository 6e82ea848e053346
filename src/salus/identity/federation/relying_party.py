# SPDX-License-Identifier: Apache-2.0
"""Signing in with an identity provider: there, back, and who it was (OpenID Connect Core 1.0 section 3.1).

    begin     sends the browser away, with a sealed cookie
    returned  judges what came back against the cookie: state, issuer, once only
    identify  redeems the code, judges the identity token, and says who it is

Authorization code with PKCE, state and nonce, always. An answer is believed only if it is from the issuer that was
asked: each provider has an address of its own to answer to, `iss` is compared where it is sent and demanded where the
provider promises it (RFC 9207), and the code goes to the token endpoint of the issuer in the cookie, whatever the
answer says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from salus.identity.accounts.store import add
from salus.identity.accounts.users import KeysOf
from salus.identity.federation import id_token
from salus.identity.federation.assurance import Assurance, assured
from salus.identity.federation.id_token import Claims
from salus.identity.federation.provider import Provider
from salus.identity.federation.providers import Providers
from salus.identity.federation.refusal import Reason, refused
from salus.identity.federation.store import once
from salus.identity.federation.travel import (
    MINUTES,
    Intent,
    Travel,
    challenge_of,
    local_path,
    mark_of,
    new_value,
    pack,
    unpack,
)
from salus.identity.federation.upstream import Upstream
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit

_ID_TOKEN_TYPES = frozenset({"", "jwt"})  # not `logout+jwt`, not `at+jwt` (RFC 8725 section 3.11)
_ANSWER = ("state", "code", "iss", "error")
_LONGEST_CODE = 4000


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and what it has to bring back.

    Attributes:
        address: at the identity provider.
        cookie: value of the cookie `travel.COOKIE`.
        seconds: how long it is good for.
    """

    address: str
    cookie: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Returned:
    """An answer that belongs to a sign-in of this browser. Its code was not redeemed yet."""

    provider: Provider
    travel: Travel
    code: str


@dataclass(frozen=True, slots=True)
class Identified:
    """Somebody whom an identity provider vouches for; not yet anybody here.

    Attributes:
        provider: which one.
        subject: who they are there.
        sid: their session there; empty if it was not named.
        assurance: how surely they were recognised.
        name: what the provider calls them, for people; empty if it does not say.
        login: the login name that it proposes; empty if none. Never used to find an account.
        travel: what was remembered: where to go on, and for whom.
    """

    provider: Provider
    subject: str
    sid: str
    assurance: Assurance
    name: str
    login: str
    travel: Travel


class RelyingParty:
    """Signs people in with identity providers.

    Args:
        providers: those that are registered.
        upstream: asks them.
        keys_of: keys of a tenant by its name.
        address_of: address of a tenant, without a slash at the end: `https://clinic.example`, `…/t/north`.
        clock: the time.
    """

    def __init__(
        self,
        providers: Providers,
        upstream: Upstream,
        keys_of: KeysOf,
        address_of: Callable[[str], str],
        clock: Clock,
    ) -> None:
        self._providers = providers
        self._upstream = upstream
        self._keys_of = keys_of
        self._address_of = address_of
        self._clock = clock

    async def begin(
        self,
        tenant: str,
        provider_id: str,
        *,
        intent: Intent = Intent.SIGN_IN,
        return_to: str = "/",
        user: str = "",
        session: str = "",
        max_age: int | None = None,
    ) -> Departure:
        """Send a browser to an identity provider.

        Args:
            tenant: name of the tenant.
            provider_id: name of the provider.
            intent: what for.
            return_to: path of ours to go on with; anything else becomes `/`.
            user: login name of the signed-in person; empty to sign in.
            session: their session.
            max_age: the person must have signed in there within so many seconds; None for any time.

        Raises:
            Problem: UNAUTHENTICATED without such a provider; UNAVAILABLE when it cannot be asked.
        """
        provider = self._enabled(tenant, provider_id)
        metadata = await self._upstream.metadata(provider)
        state = new_value()
        travel = Travel(
            intent=intent,
            provider=provider.id,
            issuer=provider.issuer,
            names_itself=metadata.names_itself,
            nonce=new_value(),
            verifier=new_value(),
            return_to=local_path(return_to),
            user=user,
            session=session,
            max_age=max_age,
            begun_ms=self._clock.now_ms(),
        )
        asked = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": self.redirect_uri(tenant, provider.id),
            "scope": " ".join(dict.fromkeys(("openid", *provider.scopes))),
            "state": state,
            "nonce": travel.nonce,
            "code_challenge": challenge_of(travel.verifier),
            "code_challenge_method": "S256",
        }
        if provider.acr_values:
            asked["acr_values"] = " ".join(provider.acr_values)
        if max_age is not None:
            asked["max_age"] = str(max_age)
        joint = "&" if "?" in metadata.authorization_endpoint else "?"
        address = f"{metadata.authorization_endpoint}{joint}{urlencode(asked)}"
        return Departure(address, pack(self._keys_of(tenant), state, travel), MINUTES * 60)

    def returned(
        self, unit: Unit, tenant: str, provider_id: str, answer: Sequence[tuple[str, str]], cookie: str
    ) -> Returned:
        """Judge what the browser brought back.

        Args:
            unit: takes the note that this sign-in was used; commit it before `identify`. The commit fails with
                UNAUTHENTICATED for the second one.
            tenant: name of the tenant.
            provider_id: name of the provider in the address that was answered to.
            answer: the parameters.
            cookie: value of the cookie, or "".

        Raises:
            Problem: UNAUTHENTICATED.
        """
        keys, now = self._keys_of(tenant), self._clock.now_ms()
        given: dict[str, str] = {}
        for name, value in answer:
            if name in _ANSWER and name in given:  # RFC 6749 section 3.1: none more than once
                raise refused(Reason.STATE)
            given[name] = value
        state = given.get("state", "")
        travel = unpack(keys, state, cookie, now)
        if travel.provider != provider_id:
            raise refused(Reason.MIX_UP)
        provider = self._enabled(tenant, provider_id)
        issuer = given.get("iss")
        if provider.issuer != travel.issuer or (issuer is None and travel.names_itself):
            raise refused(Reason.MIX_UP)
        if issuer is not None and issuer != travel.issuer:
            raise refused(Reason.MIX_UP)
        ends = travel.begun_ms + (MINUTES + 1) * 60_000
        add(unit, *once(tenant, mark_of(keys, state), now, ends, refused(Reason.STATE)))
        if "error" in given:
            raise refused(Reason.UPSTREAM)
        code = given.get("code", "")
        if not 0 < len(code) <= _LONGEST_CODE:
            raise refused(Reason.NO_CODE)
        return Returned(provider, travel, code)

    async def identify(self, tenant: str, returned: Returned) -> Identified:
        """Redeem the code and say who it is.

        Raises:
            Problem: UNAUTHENTICATED for anything that does not fit; UNAVAILABLE when the provider is away.
        """
        provider, travel = returned.provider, returned.travel
        redirect_uri = self.redirect_uri(tenant, provider.id)
        redeemed = await self._upstream.redeem(provider, returned.code, travel.verifier, redirect_uri)
        header = id_token.header_of(redeemed.id_token, provider, _ID_TOKEN_TYPES)
        claims = id_token.claims_of(redeemed.id_token, header, await self._upstream.keys(provider, header.kid))
        id_token.check_origin(claims, provider)
        now = self._clock.now_ms()
        id_token.check_times(claims, now)
        subject = id_token.check_identity(
            claims,
            nonce=travel.nonce,
            access_token=redeemed.access_token,
            algorithm=header.algorithm,
            now_ms=now,
            max_age=travel.max_age,
        )
        return Identified(
            provider=provider,
            subject=subject,
            sid=_text(claims, "sid"),
            assurance=assured(claims, provider),
            name=_text(claims, "name"),
            login=_text(claims, "preferred_username"),
            travel=travel,
        )

    def redirect_uri(self, tenant: str, provider_id: str) -> str:
        """The address that the provider answers to; one for each, to be registered there to the letter."""
        return f"{self._address_of(tenant)}/sign-in/callback/{provider_id}"

    def _enabled(self, tenant: str, provider_id: str) -> Provider:
        provider = self._providers.find(tenant, provider_id)
        if provider is None or provider.disabled:
            raise refused(Reason.UNKNOWN_PROVIDER)
        return provider


def _text(claims: Claims, name: str) -> str:
    value = claims.get(name)
    return value[:200] if isinstance(value, str) else ""
