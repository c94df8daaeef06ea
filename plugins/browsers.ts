import type { IncomingMessage } from 'node:http'
import fp from 'fastify-plugin'
import ipaddr from 'ipaddr.js'
import { ApiError } from '../schemas/errors.js'
import { ConfigError } from './config.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Why a request is refused that a web page of others may have sent; undefined for any other. */
    foreign (request: Pick<IncomingMessage, 'method' | 'url' | 'headers'>): ApiError | undefined
  }
}

/** Names of this machine, in the form that URLs give them. */
const OWN_HOSTS = ['localhost', '127.0.0.1', '[::1]']

/** Values of `Host` that are remembered, so that not each request costs the parsing of one. */
const MAX_KNOWN = 100

/** What browsers say of the sender of a request that they need not name by `Origin`, if it is another site. */
const FOREIGN_SITES = ['cross-site', 'same-site']

/**
 * A browser sends what any page tells it to, from inside the network. So requests and upgrades that another page may
 * have caused are refused, whatever they ask for: the EdgeIO contract has GETs that change things. Clients other than
 * browsers send none of these headers.
 *
 * - `Origin` names a host and port other than `Host`, and is none of ALLOWED_ORIGINS: 403 `origin_foreign`.
 * - Without it, `Sec-Fetch-Site` says that another site is the sender: the same. A link to a page of ours is served.
 * - Where only this machine can connect, `Host` is a name that another owner has made lead here (DNS rebinding): 421
 *   `host_unknown`.
 */
export default fp(async function browsers (app) {
  const { MY_HOST, ALLOWED_ORIGINS, ALLOWED_HOSTS } = app.config
  const origins = listOf(ALLOWED_ORIGINS).map(entry => readOrigin(entry))
  const hosts = isLoopback(MY_HOST) ? [...OWN_HOSTS, ...listOf(ALLOWED_HOSTS.toLowerCase())] : undefined

  /** Values of `Host` that were found to be ours. */
  const known = new Set<string>()

  function isForeign ({ method, url = '', headers }: Parameters<typeof app.foreign>[0]): boolean {
    const { origin, host = '' } = headers
    if (origin !== undefined) return !isOwn(origin, host) && !origins.includes(origin.toLowerCase())
    if (!FOREIGN_SITES.includes(String(headers['sec-fetch-site']))) return false
    const isNavigation = headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
    return !(method === 'GET' && isNavigation && isPage(url))
  }

  function foreign (request: Parameters<typeof app.foreign>[0]): ApiError | undefined {
    const { origin, host } = request.headers
    // HTTP/1.0 has no Host, and no browser speaks it.
    if (hosts && host !== undefined && !known.has(host) && !hosts.includes(hostnameOf(host))) {
      return new ApiError('host_unknown', `The server is not known as ${JSON.stringify(host.slice(0, 255))}`, {
        hint: 'Use localhost, or add the name to ALLOWED_HOSTS'
      })
    }
    if (host !== undefined && known.size < MAX_KNOWN) known.add(host)
    if (!isForeign(request)) return undefined
    const sender = origin === undefined ? 'A page of another site' : `A page of ${JSON.stringify(origin.slice(0, 255))}`
    return new ApiError('origin_foreign', `${sender} may not use this server`, {
      hint: 'Add its origin to ALLOWED_ORIGINS if it is yours'
    })
  }

  app.decorate('foreign', foreign)
  app.addHook('onRequest', ({ raw }, _reply, done) => done(foreign(raw)))
}, { name: 'browsers', dependencies: ['config', 'errors'] })

const listOf = (text: string) => text.split(',').map(entry => entry.trim()).filter(entry => entry !== '')

function readOrigin (entry: string): string {
  const origin = URL.canParse(entry) ? new URL(entry).origin : 'null'
  if (origin !== 'null' && `${origin}/` === new URL(entry).href) return origin
  throw new ConfigError(
    `ALLOWED_ORIGINS cannot be used: "${entry}" is no origin. Expected the form https://example.com or ` +
      'http://localhost:3000, several separated by commas'
  )
}

/** Whether a page comes from the host and port that the request was sent to. */
function isOwn (origin: string, host: string): boolean {
  if (!/^https?:\/\/[^\s/?#@\\,]+$/i.test(origin) || !URL.canParse(origin)) return false
  const { protocol, host: named } = new URL(origin)
  // Leaves out the port that is the default of the scheme, as browsers do.
  const here = `${protocol}//${host}`
  return URL.canParse(here) && new URL(here).host === named
}

/** The name in `Host`, without its port; what is no host stays as it is. */
function hostnameOf (host: string): string {
  return /^[^\s/?#@\\]+$/.test(host) && URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : host
}

function isLoopback (host: string): boolean {
  return host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback')
}

/** What a person reads: links to it lead there from anywhere. */
function isPage (url: string): boolean {
  const path = url.split('?', 1)[0]!
  return path === '/' || path === '/docs' || path.startsWith('/docs/')
}
