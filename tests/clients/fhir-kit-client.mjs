// SPDX-License-Identifier: Apache-2.0
// fhir-kit-client (npm): what it saw, as JSON on the standard output.
import { Client } from "fhir-kit-client";

const [baseUrl, bearerToken] = process.argv.slice(2);
const client = new Client({ baseUrl, bearerToken });
const seen = {};

seen.version = (await client.capabilityStatement()).fhirVersion;
seen.read = (await client.read({ resourceType: "Patient", id: "ada" })).birthDate;

seen.paged = [];
const searchParams = { patient: "ada", _count: 3, _sort: "date" };
for (let page = await client.search({ resourceType: "Observation", searchParams }); page; ) {
  seen.paged.push((page.entry || []).map((entry) => entry.resource.id));
  page = await client.nextPage({ bundle: page });
}
const compartment = { resourceType: "Patient", id: "ada" };
const posted = await client.search({ resourceType: "Observation", compartment, searchParams: { _count: 50 } });
seen.compartment = posted.entry.length;
const byForm = await client.search({
  resourceType: "Observation", searchParams: { patient: "ada" }, options: { postSearch: true },
});
seen.form = byForm.entry.length;

const body = { resourceType: "Patient", name: [{ family: "Kit" }] };
const made = await client.create({ resourceType: "Patient", body });
const updated = await client.update({ resourceType: "Patient", id: made.id, body: { ...made, gender: "female" } });
const jsonPatch = [{ op: "add", path: "/birthDate", value: "2001-02-03" }];
const patched = await client.patch({ resourceType: "Patient", id: made.id, jsonPatch });
seen.versions = [made, updated, patched].map((resource) => resource.meta.versionId);
seen.vread = (await client.vread({ resourceType: "Patient", id: made.id, version: "2" })).gender;
seen.history = (await client.history({ resourceType: "Patient", id: made.id })).entry.length;
seen.operation = (await client.operation({ name: "everything", resourceType: "Patient", id: "ada", method: "GET" })).type;
const entry = [{
  fullUrl: "urn:uuid:88f151c0-a954-468a-88bd-5ae15c08e059", resource: body,
  request: { method: "POST", url: "Patient" },
}];
const done = await client.transaction({ body: { resourceType: "Bundle", type: "transaction", entry } });
seen.transaction = done.entry[0].response.status;
await client.delete({ resourceType: "Patient", id: made.id });
seen.gone = await client.read({ resourceType: "Patient", id: made.id }).then(() => 0, (error) => error.response.status);
console.log(JSON.stringify(seen));
