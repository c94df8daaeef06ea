import type { Explanation } from '../../../../schemas/job.js'
import type { FieldChange, Movements, ServicePlan } from '../../../../schemas/plan.js'
import { instances } from '../../state-machine/wording.js'

/** Most fields named in a sentence. */
const MAX_NAMED = 5

/** Summary of what a deploy would do to one service. */
export function serviceSummary (
  name: string,
  outcome: ServicePlan['outcome'],
  changes: FieldChange[],
  found: Movements,
  explanation: Explanation | null
): string {
  const waits = found.waiting.length > 0
  const but = waits
    ? `, but ${instances(found.waiting.length)} would have to wait: ${explanation?.summary ?? 'no cluster has room'}`
    : ''
  if (outcome === 'create') return `${name} would be created${but || `: ${explanation?.summary ?? 'with no instance'}`}`
  if (outcome === 'update') {
    return `${name} would be updated (${fieldNames(changes)}): ` +
      `${movementsSentence([found]) || 'no instance changes'}${but}`
  }
  return `${name} would stay as it is${but}`
}

/** Summary over all services of a plan. */
export function planSummary (services: ServicePlan[]): string {
  const outcomes = [
    counted(services, 'create', 'to create'),
    counted(services, 'update', 'to update'),
    counted(services, 'unchanged', 'unchanged')
  ].filter(part => part !== '')
  const first = `${services.length} service${services.length === 1 ? '' : 's'}: ${outcomes.join(', ')}`
  const found = services.map(service => service.instances)
  const waiting = found.reduce((sum, { waiting }) => sum + waiting.length, 0)
  return [first, movementsSentence(found), waiting === 0 ? '' : `${instances(waiting)} would have to wait`].filter(
    part => part !== ''
  ).join('; ')
}

function counted (services: ServicePlan[], outcome: ServicePlan['outcome'], word: string): string {
  const count = services.filter(service => service.outcome === outcome).length
  return count === 0 ? '' : `${count} ${word}`
}

/** "2 instances to place, 1 to move, 3 to renew in place, 1 to remove", without the kinds that have none. */
function movementsSentence (found: Movements[]): string {
  const words = { placed: 'to place', moved: 'to move', renewed: 'to renew in place', removed: 'to remove' } as const
  const parts = (Object.keys(words) as Array<keyof typeof words>)
    .map(kind => ({ word: words[kind], count: found.reduce((sum, movements) => sum + movements[kind].length, 0) }))
    .filter(({ count }) => count > 0)
  return parts.map(({ word, count }, index) => `${index === 0 ? instances(count) : count} ${word}`).join(', ')
}

function fieldNames (changes: FieldChange[]): string {
  const more = changes.length - MAX_NAMED
  return changes.slice(0, MAX_NAMED).map(({ path }) => path).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
