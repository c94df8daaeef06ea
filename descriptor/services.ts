import { IsStandardObject } from '@sinclair/typebox/value'
import { MAX_SERVICES } from '../schemas/descriptor.js'
import type { Finding } from './check.js'
import type { Path, PositionedTree } from './positions.js'
import { MAX_REPEATED } from './plain.js'
import { kindOf } from '../schemas/wording.js'

type Fields = Record<string, unknown>

/** The fields of one service, and their paths in the document. */
export interface Service {
  fields: Fields
  /** Path in the document of a path in the service. */
  pathOf (path: Path): Path
}

/** Fields that all services of an application share: they belong beside the list. */
const OF_THE_APPLICATION = ['app_name', 'app_ns']

/** Fields that differ between services: they belong in the entries. */
const OF_ONE_SERVICE = ['service_name', 'RR_ip']

/**
 * The services of a document: the document as one service or, if it has `microservices`, the entries of that list. An
 * entry inherits every field beside the list that it does not have itself. Fields are inherited as a whole: a mapping
 * in the entry replaces the inherited one, and a field left blank in the entry is not inherited.
 */
export function servicesOf ({ value }: Pick<PositionedTree, 'value'>): { services: Service[], findings: Finding[] } {
  if (!Object.hasOwn(value, 'microservices')) {
    return { services: [{ fields: value, pathOf: path => path }], findings: [] }
  }
  const { microservices: entries, ...shared } = value
  if (!Array.isArray(entries) || entries.length === 0) {
    return {
      services: [],
      findings: [{
        path: ['microservices'],
        message: `expected a list of services, got ${Array.isArray(entries) ? 'an empty list' : kindOf(entries)}`
      }]
    }
  }
  if (entries.length > MAX_SERVICES) {
    return {
      services: [],
      findings: [{
        path: ['microservices', MAX_SERVICES],
        message: `expected at most ${MAX_SERVICES} services, got ${entries.length}`,
        hint: 'Deploy them in several files.'
      }]
    }
  }
  if (JSON.stringify(shared).length * (entries.length - 1) > MAX_REPEATED) {
    return {
      services: [],
      findings: [{
        path: ['microservices'],
        message: 'the inherited fields would expand the descriptor beyond 1 MiB'
      }]
    }
  }

  const services: Service[] = []
  const findings: Finding[] = OF_ONE_SERVICE.filter(field => Object.hasOwn(shared, field))
    .map(field => ({ path: [field], message: `expected no ${field} beside microservices: each service has its own` }))
  for (const [index, entry] of entries.entries()) {
    const path = ['microservices', index]
    if (!IsStandardObject(entry)) {
      findings.push({ path, message: `expected a mapping of fields, got ${kindOf(entry)}` })
      continue
    }
    findings.push(...misplaced(entry, shared, path))
    const { microservices: _nested, ...own } = entry
    const fields: Fields = { ...shared, ...own }
    for (const field of OF_THE_APPLICATION) {
      delete fields[field]
      if (Object.hasOwn(shared, field)) fields[field] = shared[field]
    }
    services.push({
      fields,
      pathOf: ([field = '', ...rest]) => {
        const isShared = OF_THE_APPLICATION.includes(String(field)) ||
          (Object.hasOwn(shared, field) && !Object.hasOwn(entry, field))
        return isShared ? [field, ...rest] : [...path, field, ...rest]
      }
    })
  }
  return { services, findings }
}

/** Findings for fields that an entry must not have. */
function misplaced (entry: Fields, shared: Fields, path: Path): Finding[] {
  const findings: Finding[] = []
  if (Object.hasOwn(entry, 'microservices')) {
    findings.push({ path: [...path, 'microservices'], message: 'expected no microservices inside an entry' })
  }
  for (const field of OF_THE_APPLICATION) {
    const given = entry[field]
    if (given === undefined || given === shared[field]) continue
    findings.push({
      path: [...path, field],
      message: `expected no ${field}, which belongs beside microservices, got ${kindOf(given)}`,
      hint: 'Put the services of another application into a document of its own, after a line "---".'
    })
  }
  return findings
}
