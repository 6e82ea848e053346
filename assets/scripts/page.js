// SPDX-License-Identifier: Apache-2.0
// Wakes the components of nhsuk-frontend. Every page works without this.
import { Button, ErrorSummary, NotificationBanner, PasswordInput, SkipLink, createAll } from "./nhsuk.js";

document.body.classList.add("js-enabled", "nhsuk-frontend-supported");
for (const component of [Button, ErrorSummary, NotificationBanner, PasswordInput, SkipLink]) createAll(component);
for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => window.print());
