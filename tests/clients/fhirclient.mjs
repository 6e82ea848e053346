// SPDX-License-Identifier: Apache-2.0
// fhirclient (npm, the SMART client for JavaScript): what it saw, as JSON on the standard output.
import smart from "fhirclient";

const [serverUrl, access_token] = process.argv.slice(2);
const state = { serverUrl, tokenResponse: { access_token } };
const client = smart({ headers: {}, session: {} }, {}).client(state);
const seen = {};

seen.version = await client.getFhirVersion();
seen.read = (await client.request("Patient/ada")).birthDate;

seen.paged = [];
for await (const page of client.pages("Observation?patient=ada&_count=3&_sort=date")) {
  seen.paged.push((page.entry || []).map((entry) => entry.resource.id));
}
const joined = await client.request("Observation?patient=ada&_count=3&_sort=-date", { pageLimit: 0, flat: true });
seen.flat = joined.map((resource) => resource.id);
const resolved = await client.request("Observation/pulse-0", { resolveReferences: "subject" });
seen.resolved = resolved.subject.resourceType;

const made = await client.create({ resourceType: "Patient", name: [{ family: "Smartclient" }] });
const updated = await client.update({ ...made, gender: "female" });
const patched = await client.patch(`Patient/${made.id}`, [{ op: "add", path: "/birthDate", value: "2001-02-03" }]);
seen.versions = [made, updated, patched].map((resource) => resource.meta.versionId);
seen.found = (await client.request("Patient?name=Smartclient&birthdate=2001-02-03&gender=female")).entry.length;
await client.delete(`Patient/${made.id}`);
seen.gone = await client.request(`Patient/${made.id}`).then(() => 0, (error) => error.status || error.statusCode);
console.log(JSON.stringify(seen));
