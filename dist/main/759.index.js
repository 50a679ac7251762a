export const id = 759;
export const ids = [759];
export const modules = {

/***/ 359:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   a: () => (/* binding */ K)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(995);
/* harmony import */ var _chunk_POWVGZEZ_js__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(471);
/* harmony import */ var _chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(151);
/* harmony import */ var node_crypto__WEBPACK_IMPORTED_MODULE_3__ = __webpack_require__(598);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
function K(n,r=new Date){let i=[],a=t=>Buffer.from(n[t]??"","base64").toString("utf8"),e=n["tls.crt"]===void 0?{cert:"ca-cert.pem",key:"ca-key.pem",root:"root-cert.pem",chain:["cert-chain.pem"]}:{cert:"tls.crt",key:"tls.key",root:"ca.crt",chain:["tls.crt","ca.crt"]},c=[...new Set([e.cert,e.key,e.root,...e.chain])].filter(t=>n[t]===void 0);c.length>0&&i.push(`${c.join(", ")} ${c.length>1?"are":"is"} missing: istiod does not start with it.`);let h=t=>{let u=(0,_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_2__.d)(a(t)).map(_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_2__.f);return u.includes(void 0)&&i.push(`${t} holds something that is not a certificate.`),u.filter(m=>m!==void 0)},s=new Map([...new Set([e.cert,e.root,...e.chain])].map(t=>[t,h(t)]));for(let t of[e.cert,e.root])n[t]!==void 0&&s.get(t)?.length===0&&i.push(`${t} holds no PEM certificate.`);let o=s.get(e.cert)?.[0],f=s.get(e.root)??[],y=e.chain.flatMap(t=>s.get(t)??[]),l;if(o&&f.length>0){let t=A(o,y,f);l=t?.at(-1),t?i.push(...t.flatMap((u,m)=>x(u,m,r))):i.push(`${e.cert} does not chain to a root in ${e.root}.`),!p(o,y)&&!p(o,f)&&i.push(`${e.chain.join(", ")} does not hold ${e.cert}: peers cannot verify the workloads' certificates.`)}else o&&i.push(...x(o,0,r));if(n[e.key]!==void 0)try{let t=(0,node_crypto__WEBPACK_IMPORTED_MODULE_3__.createPrivateKey)(a(e.key));o&&!o.checkPrivateKey(t)&&i.push(`${e.key} does not belong to ${e.cert}.`)}catch{i.push(`${e.key} is not a PEM private key that can be read without a password.`)}let k=f.find(_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_2__.g)??f.at(-1);return{...k?{root:(0,_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_2__.b)(k)}:{},roots:f.map(_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_2__.b),...l?{anchor:(0,_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_2__.b)(l)}:{},...o?{issuer:{subject:(0,_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_2__.c)(o),notAfter:o.validToDate}}:{},istioGenerated:n["istio-generated"]!==void 0,problems:i}}function p(n,r){return r.some(i=>i.raw.equals(n.raw))}function A(n,r,i,a=[]){if(p(n,i))return[n];let e=s=>n.checkIssued(s)&&(0,_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_2__.h)(n,s),c=i.find(e);if(c)return[n,c];let h=[...a,n];for(let s of r){if(p(s,h)||!e(s))continue;let o=A(s,r,i,h);if(o)return[n,...o]}}var M="1.3.6.1.5.5.7.3.1",P="2.5.29.37.0";function x(n,r,i){let a=`The certificate "${(0,_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_2__.c)(n)}"`,{ca:e,pathLength:c,signs:h,eku:s}=(0,_chunk_POWVGZEZ_js__WEBPACK_IMPORTED_MODULE_1__.a)(n),o=[],f=(0,_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_2__.i)(n,i);return f&&o.push(`${a} ${f}.`),!e||!h?o.push(`${a} may not issue certificates (basicConstraints CA, keyUsage keyCertSign).`):c!==void 0&&c<r&&o.push(`${a} allows ${c} intermediates below it (pathlen), but there are ${r}.`),s.length>0&&!s.includes(M)&&!s.includes(P)&&o.push(`${a} is limited to other uses than server authentication (extendedKeyUsage).`),o}


/***/ }),

/***/ 471:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   a: () => (/* binding */ c)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(995);
/* harmony import */ var _chunk_6NCKWP3Z_js__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(377);
/* harmony import */ var _chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(473);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
var r=(0,_chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_2__.e)((0,_chunk_6NCKWP3Z_js__WEBPACK_IMPORTED_MODULE_1__.a)(),1),e=(0,_chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_2__.e)((0,_chunk_6NCKWP3Z_js__WEBPACK_IMPORTED_MODULE_1__.b)(),1);function c(i){let n=new e.X509Certificate(i.raw),t=n.getExtension(e.BasicConstraintsExtension),s=n.getExtension(e.KeyUsagesExtension),o=n.getExtension(e.ExtendedKeyUsageExtension);return{ca:t?.ca??!1,pathLength:t?.pathLength,signs:s===null||(s.usages&e.KeyUsageFlags.keyCertSign)!==0,eku:o?.usages.map(String)??[]}}


/***/ }),

/***/ 759:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __webpack_require__) => {

__webpack_require__.r(__webpack_exports__);
/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   sameRoot: () => (/* binding */ O),
/* harmony export */   trustChecks: () => (/* binding */ R)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(995);
/* harmony import */ var _chunk_57HY2NJE_js__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(359);
/* harmony import */ var _chunk_POWVGZEZ_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(471);
/* harmony import */ var _chunk_6NCKWP3Z_js__WEBPACK_IMPORTED_MODULE_3__ = __webpack_require__(377);
/* harmony import */ var _chunk_KY52GJGF_js__WEBPACK_IMPORTED_MODULE_4__ = __webpack_require__(650);
/* harmony import */ var _chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_5__ = __webpack_require__(151);
/* harmony import */ var _chunk_JMHJPXMB_js__WEBPACK_IMPORTED_MODULE_6__ = __webpack_require__(321);
/* harmony import */ var _chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_7__ = __webpack_require__(473);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
var T=30,b=864e5;function R(e,r=new Date){return{"trust.cacerts":o=>y(e,o,r),"trust.in-effect":o=>C(e,o,r),"trust.root":o=>k(e,o,r)}}var A="There is no Secret cacerts: istiod signs with a root of its own, or another CA does.";function y({namespace:e},r,o){let t=r.cacerts();if(!t)return (0,_chunk_KY52GJGF_js__WEBPACK_IMPORTED_MODULE_4__.d)(A);let{problems:i,issuer:n,anchor:c,istioGenerated:d}=(0,_chunk_57HY2NJE_js__WEBPACK_IMPORTED_MODULE_1__.a)(t.data??{},o);if(d)return (0,_chunk_KY52GJGF_js__WEBPACK_IMPORTED_MODULE_4__.d)("istiod made the Secret cacerts for itself.");let f={source:`Secret ${e}/cacerts`,values:{issuer:n?.subject,notAfter:n?.notAfter.toISOString(),rootSha256:c?.sha256}};if(i.length>0||!n)return (0,_chunk_KY52GJGF_js__WEBPACK_IMPORTED_MODULE_4__.b)(`The Secret ${e}/cacerts is not sound: ${i.join(" ")}`,`Issue a new intermediate of the mesh's root, write it to the Secret, and restart istiod: kubectl -n ${e} rollout restart deployment -l app=istiod`,f);let s=`The intermediate "${n.subject}" chains to its root and is valid until ${g(n.notAfter)}.`,a=v(`The intermediate "${n.subject}"`,n.notAfter,o);return{...(0,_chunk_KY52GJGF_js__WEBPACK_IMPORTED_MODULE_4__.a)(s,f),...a?{warning:`${a} Issue a new one of the same root in time.`}:{}}}function C({namespace:e},r,o){let t=r.cacerts();if(!t)return (0,_chunk_KY52GJGF_js__WEBPACK_IMPORTED_MODULE_4__.d)(A);let{roots:i}=(0,_chunk_57HY2NJE_js__WEBPACK_IMPORTED_MODULE_1__.a)(t.data??{},o),n=w(r),c=i.map(({sha256:f})=>f),d={source:`Secret ${e}/cacerts and ConfigMap ${e}/istio-ca-root-cert`,values:{cacerts:c,inEffect:n.sha256}};return c.length===0?(0,_chunk_KY52GJGF_js__WEBPACK_IMPORTED_MODULE_4__.c)("No root could be read from the Secret cacerts.","",d):c.includes(n.sha256)?(0,_chunk_KY52GJGF_js__WEBPACK_IMPORTED_MODULE_4__.a)("The root in cacerts is the one that workloads get.",d):(0,_chunk_KY52GJGF_js__WEBPACK_IMPORTED_MODULE_4__.b)(`The root in the Secret ${e}/cacerts is not the one in effect: it was added or changed after istiod started, or istiod was restarted a moment ago and has not told of it yet.`,`Restart istiod, then gateways and workloads: kubectl -n ${e} rollout restart deployment -l app=istiod`,d)}function k({namespace:e},r,o){let t=w(r),i={source:`ConfigMap ${e}/istio-ca-root-cert`,values:{sha256:t.sha256,subject:t.subject,notAfter:t.notAfter.toISOString()}};if(t.notAfter<=o)return (0,_chunk_KY52GJGF_js__WEBPACK_IMPORTED_MODULE_4__.b)(`The root of trust "${t.subject}" is past its end, ${g(t.notAfter)}: no certificate of the mesh is valid.`,"Make a new root and intermediates; docs/SECURITY.md has the steps.",i);let n=v(`The root of trust "${t.subject}"`,t.notAfter,o);return{...(0,_chunk_KY52GJGF_js__WEBPACK_IMPORTED_MODULE_4__.a)(`The root in effect has SHA-256 ${t.sha256} and is valid until ${g(t.notAfter)}.`,i),...n?{warning:`${n} Plan its rotation now.`}:{}}}function w({root:e,istiod:r}){let o=e();if(!r())throw new _chunk_JMHJPXMB_js__WEBPACK_IMPORTED_MODULE_6__.a("Which root is in effect cannot be told: no istiod runs, which would renew the ConfigMap.");if(!o)throw new _chunk_JMHJPXMB_js__WEBPACK_IMPORTED_MODULE_6__.a("istiod has written no ConfigMap istio-ca-root-cert, from which proxies learn the root.","Look at istiod's log: it writes it to every namespace once it is the leader.");return (0,_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_5__.a)(o)}function O(e){let r=e.map(s=>({cluster:s.spec.name,sha256:w(s).sha256})),o=[...Map.groupBy(r,({sha256:s})=>s)].sort(([,s],[,a])=>a.length-s.length),t={source:"ConfigMap istio-ca-root-cert of each cluster",values:Object.fromEntries(r.map(({cluster:s,sha256:a})=>[s,a]))},[i,n]=o;if(!n)return (0,_chunk_KY52GJGF_js__WEBPACK_IMPORTED_MODULE_4__.a)(`All clusters trust the root with SHA-256 ${i?.[0]}.`,t);let c=s=>s.map(({cluster:a})=>a).join(", "),d=o.map(([s,a])=>`${c(a)}: SHA-256 ${s}`).join("; "),f=i&&i[1].length>n[1].length?i[0]:void 0;return{...(0,_chunk_KY52GJGF_js__WEBPACK_IMPORTED_MODULE_4__.b)(`The clusters do not trust the same root, so their workloads refuse each other's certificates. ${d}.`,"Give every cluster an intermediate of one root as the Secret cacerts, then restart istiod, gateways and workloads there; docs/SECURITY.md has the steps that avoid an outage.",t),clusters:r.filter(({sha256:s})=>s!==f).map(({cluster:s})=>s)}}function v(e,r,o){let t=Math.floor((r.getTime()-o.getTime())/b);return t<T?`${e} is valid for ${t} more day${t===1?"":"s"} only.`:void 0}function g(e){return e.toISOString().slice(0,10)}


/***/ })

};
