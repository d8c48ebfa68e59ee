// Writes TypeScript types of docs/openapi.json. It knows the few forms that the description uses, and stops at any other.

const nameOf = (ref) => ref.replace(/^.*\//, "");

function typeOf(schema) {
  if (schema === undefined || Object.keys(schema).length === 0) return "unknown";
  if (schema.$ref) return nameOf(schema.$ref);
  if (schema.allOf?.length === 1) return typeOf(schema.allOf[0]);
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeOf))].join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  switch (schema.type) {
    case "string":
      return "string";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "null":
      return "null";
    case "array":
      return schema.prefixItems ? `[${schema.prefixItems.map(typeOf).join(", ")}]` : `(${typeOf(schema.items)})[]`;
    case "object":
      if (schema.additionalProperties) return `Record<string, ${typeOf(schema.additionalProperties)}>`;
      return objectOf(schema);
    default:
      if (!schema.type && (schema.title || schema.description)) return "unknown";
      throw new Error(`a schema of an unknown form: ${JSON.stringify(schema)}`);
  }
}

function objectOf(schema) {
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {}).map(
    ([name, field]) => `${JSON.stringify(name)}${required.has(name) ? "" : "?"}: ${typeOf(field)}`,
  );
  return `{ ${fields.join("; ")} }`;
}

const jsonOf = (content) => content?.["application/json"]?.schema;

export function describeApi(description) {
  const lines = ["// Made from docs/openapi.json by api.mjs: do not edit.", ""];
  for (const [name, schema] of Object.entries(description.components.schemas).sort()) {
    lines.push(`export type ${name} = ${typeOf(schema)};`);
  }
  lines.push("", "export interface Operations {");
  for (const [path, methods] of Object.entries(description.paths).sort()) {
    for (const [method, operation] of Object.entries(methods).sort()) {
      const body = jsonOf(operation.requestBody?.content);
      const answers = Object.entries(operation.responses).filter(([status]) => status.startsWith("2"));
      const types = answers.map(([, answer]) => (jsonOf(answer.content) ? typeOf(jsonOf(answer.content)) : "null"));
      const answer = [...new Set(types)].join(" | ");
      lines.push(`  "${method.toUpperCase()} ${path}": { body: ${body ? typeOf(body) : "undefined"}; answer: ${answer} };`);
    }
  }
  lines.push("}", "");
  return lines.join("\n");
}
