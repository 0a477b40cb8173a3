// npm's ws: node_ws.js URL on|off
'use strict';

globalThis.WebSocket = require('ws');
const {echoAll, open, next, close, check} = require('./echo.js');

const DEADLINE_MS = 60_000;

async function fragments(socket) {
  const answer = next(socket);
  for (let i = 0; i < 20; ++i) socket.send('fragment ' + i + ' €, ', {fin: i === 19});
  const expected = Array.from({length: 20}, (_, i) => 'fragment ' + i + ' €, ').join('');
  check(await answer === expected, 'the echo of fragments differs');
}

function ping(socket) {
  return new Promise((resolve, reject) => {
    socket.once('pong', (payload) =>
      payload.toString() === 'are you there' ? resolve() : reject(new Error('wrong pong')));
    socket.ping('are you there');
  });
}

async function main([url, compression]) {
  const count = await echoAll(url, compression === 'on');
  const socket = await open(url);
  await fragments(socket);
  await ping(socket);
  const closed = await close(socket, 1000);
  check(closed.wasClean && closed.code === 1000, 'closed with ' + closed.code);
  console.log(`${count} echoes, fragments, ping, close`);
}

setTimeout(() => { throw new Error('no end in time'); }, DEADLINE_MS).unref();
main(process.argv.slice(2)).catch((error) => { console.error(error.message); process.exit(1); });
