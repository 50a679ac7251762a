export const id = 986;
export const ids = [986];
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

/***/ 986:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __webpack_require__) => {

__webpack_require__.r(__webpack_exports__);
/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   inspectCaCerts: () => (/* reexport safe */ _chunk_57HY2NJE_js__WEBPACK_IMPORTED_MODULE_1__.a)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(995);
/* harmony import */ var _chunk_57HY2NJE_js__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(359);
/* harmony import */ var _chunk_POWVGZEZ_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(471);
/* harmony import */ var _chunk_6NCKWP3Z_js__WEBPACK_IMPORTED_MODULE_3__ = __webpack_require__(377);
/* harmony import */ var _chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_4__ = __webpack_require__(151);
/* harmony import */ var _chunk_JMHJPXMB_js__WEBPACK_IMPORTED_MODULE_5__ = __webpack_require__(321);
/* harmony import */ var _chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_6__ = __webpack_require__(473);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);



/***/ })

};
