// An echo server on npm's ws: PORT, and "deflate" for permessage-deflate.
const { WebSocketServer } = require('ws')

const [port, deflate] = process.argv.slice(2)
const server = new WebSocketServer({
  host: '127.0.0.1', port: Number(port), perMessageDeflate: deflate === 'deflate', backlog: 4096
})
server.on('connection', (socket) => {
  socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }))
  socket.on('error', () => {})
})
